"""The embedded store's limit comes from what this machine, or the container around us, really has."""

from pathlib import Path

import pytest

from bridge.store.server.memory import LEAST_STORE_MEMORY, plan_store_memory, read_machine_memory

MB = 1 << 20
PHYSICAL = read_machine_memory(proc=Path("/nonexistent"))


def build(root: Path, cgroup: str, limits: dict[str, str]) -> int:
    """Lay out /proc/self/cgroup and a tree of limits, and read them."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in limits.items():
        file = root / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return read_machine_memory(proc=root / "proc", cgroups=root / "sys")


@pytest.mark.parametrize(
    ("cgroup", "limits", "wanted"),
    [
        ("0::/\n", {}, PHYSICAL),
        ("0::/\n", {"memory.max": "max"}, PHYSICAL),
        ("0::/\n", {"memory.max": str(200 * MB)}, 200 * MB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(300 * MB)}, 300 * MB),
        ("0::/a/b\n", {"a/b/memory.max": str(100 * MB), "a/memory.max": str(300 * MB)}, 100 * MB),
        # In a container the path is the host's, and only the container's own limit is mounted.
        ("0::/../../docker/x\n", {"memory.max": str(400 * MB)}, 400 * MB),
        ("4:memory:/x\n2:cpu:/x\n", {"memory/x/memory.limit_in_bytes": str(500 * MB)}, 500 * MB),
        ("4:cpu,memory:/x\n", {"memory/memory.limit_in_bytes": str(600 * MB)}, 600 * MB),
        (
            "4:memory:/\n",
            {"memory/memory.limit_in_bytes": "9223372036854771712"},
            PHYSICAL,
        ),  # "no limit" of v1
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, cgroup: str, limits: dict[str, str], wanted: int) -> None:
    """The machine's memory, unless a control group around us has less."""
    assert build(tmp_path, cgroup, limits) == wanted


@pytest.mark.parametrize("machine_mb", [256, 512, 1024, 4096, 65536])
def test_what_was_accepted_has_room_above_the_limit(machine_mb: int) -> None:
    """At least half of the machine, and of most three quarters, stays for the growth of what is there, for the other processes and for a copy."""
    limit = plan_store_memory(machine_mb * MB)
    assert LEAST_STORE_MEMORY <= limit <= machine_mb * MB // 2
