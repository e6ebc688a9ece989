"""How much memory this machine, or the container that we run in, has, and how much of it the embedded store may use."""

import os
from pathlib import Path

LEAST_STORE_MEMORY = 64 << 20
RESERVED = 512 << 20  # API, worker and the system
# The store refuses new work at its limit, and what was accepted goes on growing: a job gets its last object, its poll log,
# events and deliveries, several times what its registration took. While the store rewrites its file, a copy of what
# changes meanwhile is in memory too.
SHARE = 0.25


def plan_store_memory(machine_bytes: int) -> int:
    """Return the limit at which the embedded store refuses new work, in bytes."""
    return max(LEAST_STORE_MEMORY, int((machine_bytes - RESERVED) * SHARE))


def read_machine_memory(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes of memory that this process and its children can use: the machine's, or a control group's limit.

    Source: Linux kernel documentation, "Control Group v2" (memory.max) and "Memory Resource Controller" (v1).
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_read_limits(proc, cgroups)])


def _read_limits(proc: Path, cgroups: Path) -> list[int]:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            found += _walk(cgroups, group, "memory.max")
        elif "memory" in controllers.split(","):
            found += _walk(cgroups / "memory", group, "memory.limit_in_bytes")
    return found


def _walk(root: Path, group: str, name: str) -> list[int]:
    """Return the limits of a group and of those around it; in a container the path may lie outside of what is mounted."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    places = [root.joinpath(*parts[:depth]) / name for depth in range(len(parts), -1, -1)]
    return [limit for place in places if (limit := _read_limit(place)) is not None]


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() and int(text) > 0 else None
