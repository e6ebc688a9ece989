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
    before = (await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELBRIDGE_PORT="1")).stdout.decode()
    assert f"! data/store/valkey/appendonlydir/{file.name} ends in 700 bytes" in before
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
    after = await asyncio.to_thread(run, "doctor", cwd=tmp_path, REELBRIDGE_PORT="1")
    assert after.returncode == 0
    (copy,) = (tmp_path / "data/store/valkey").glob("damaged-*")
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
