"""Commands with a store that is not fit, and with one that a power cut has damaged: each says what to do."""

import asyncio
import base64
import signal
import sys
from pathlib import Path

import pytest

from bridge.config.settings import Settings
from bridge.store.server.connect import connect
from bridge.store.server.embedded import EmbeddedStore
from tests.api.store_server import running_store
from tests.cli.commands.test_commands import clean_environment, run

MASTER_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize("command", ["up", "api", "worker", "doctor"])
def test_a_store_without_an_append_only_file_is_refused(tmp_path: Path, command: str) -> None:
    """A callback that was answered with 201 would be lost with the server: nothing starts, and the fix is said."""
    with running_store(tmp_path) as socket:
        url = f"unix://{socket}"
        asyncio.run(switch_off(url))
        done = run(
            command, cwd=tmp_path, REELBRIDGE_REDIS_URL=url, REELBRIDGE_MASTER_KEYS=MASTER_KEY, REELBRIDGE_PORT="0"
        )  # fmt: skip
    shown = (done.stdout + done.stderr).decode()
    assert done.returncode == 1, shown
    assert "set `appendonly yes`" in shown
    assert "Traceback" not in shown


async def switch_off(url: str) -> None:
    async with connect(Settings(redis_url=url, _env_file=None)) as redis:
        await redis.config_set("appendonly", "no")


async def make_store(data_dir: Path) -> Path:
    """Leave a stopped store with one key, and return its incremental file."""
    store = EmbeddedStore(data_dir)
    await store.start()
    async with connect(Settings(redis_url=store.url, _env_file=None)) as redis:
        await redis.set("k", "v")
    await store.stop()
    (file,) = (data_dir / "store").glob("*/appendonlydir/*.incr.aof")
    return file


async def test_up_starts_after_a_power_cut_and_doctor_knows(tmp_path: Path) -> None:
    """Doctor announces what `up` will cut; `up` cuts it and says so; doctor then names the copy."""
    file = await make_store(tmp_path / "data")
    (tmp_path / "data/master-keys").write_text(MASTER_KEY)
    file.write_bytes(file.read_bytes() + b"\0" * 700)
    for path in (
        tmp_path / "data",
        *(tmp_path / "data").rglob("*"),
    ):  # as 0.1.0 and a careless copy leave them
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = (await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELBRIDGE_PORT="1")).stdout.decode()
    assert f"! data/store/valkey/appendonlydir/{file.name} ends in 700 bytes" in before
    assert "! other users of this machine may look into data:" in before
    up = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli.main", "up", cwd=tmp_path,
        env=clean_environment() | {"REELBRIDGE_PORT": "0"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert up.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(90):
            while not any("reelbridge is up at" in line for line in lines):
                raw = await up.stdout.readline()
                assert raw, lines
                lines.append(raw.decode())
    finally:
        up.send_signal(signal.SIGTERM)
        await up.communicate()
    (said,) = [line for line in lines if "power cut" in line]
    assert f"{file.name} ended in 700 bytes" in said
    assert any(
        "data was open to other users of this machine (mode 0755) and is closed now" in line for line in lines
    )
    (copy,) = (tmp_path / "data/store/valkey").glob("damaged-*")
    written = [path for path in (tmp_path / "data").rglob("*") if copy not in path.parents]
    assert [path for path in written if path.stat().st_mode & 0o077] == []
    assert {"appendonly.aof.manifest", "server.log", "api-key"} < {path.name for path in written}
    after = await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELBRIDGE_PORT="1")
    assert after.returncode == 0
    assert "other users" not in after.stdout.decode()
    assert (
        f"! the store's append-only file was damaged and its tail was cut off: data/store/valkey/{copy.name}"
        in (after.stdout.decode())
    )


async def test_damage_in_the_middle_stops_up_and_doctor_says_why(tmp_path: Path) -> None:
    """Nothing is cut where whole commands follow; both commands give the way out."""
    file = await make_store(tmp_path / "data")
    (tmp_path / "data/master-keys").write_text(MASTER_KEY)
    file.write_bytes(b"nonsense" + file.read_bytes())
    for command in ("doctor", "up"):
        done = await asyncio.to_thread(run, command, cwd=tmp_path, REELBRIDGE_PORT="0")
        shown = (done.stdout + done.stderr).decode()
        assert done.returncode == 1, shown
        assert "truncate -s 0" in shown
        assert "Traceback" not in shown


def test_a_directory_that_others_may_enter_and_that_holds_more_is_refused(tmp_path: Path) -> None:
    """`up` changes no mode of a directory that is not its own, and keeps no keys where others may read them."""
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared/homework").touch()
    done = run("up", cwd=tmp_path, REELBRIDGE_DATA_DIR="shared", REELBRIDGE_PORT="0")
    assert done.returncode == 1
    assert b"set REELBRIDGE_DATA_DIR to a directory of its own, such as shared/reelbridge" in done.stderr
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "shared/master-keys").exists()


def test_doctor_asks_for_a_memory_limit(tmp_path: Path) -> None:
    """A server of one's own without `maxmemory` is a warning that says how much to give it."""
    with running_store(tmp_path) as socket:
        done = run("doctor", cwd=tmp_path, REELBRIDGE_REDIS_URL=f"unix://{socket}", REELBRIDGE_PORT="1")
    assert "! the store has no memory limit" in done.stdout.decode()
