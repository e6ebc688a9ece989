"""While the store rewrites its file, the rewrite takes only what is left of the processor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bridge.config.settings import Settings
from bridge.store.server.connect import connect
from bridge.store.server.embedded import EmbeddedStore
from bridge.store.server.rewrites import LOW, lower_rewrites

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux names child processes")
KEY_TAKES_US = 20_000  # so that a rewrite of 200 keys takes some seconds


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """A running store that is looked after."""
    store = EmbeddedStore(tmp_path / "data")
    await store.start()
    lowering = asyncio.create_task(lower_rewrites(store.socket))
    yield store
    lowering.cancel()
    await asyncio.gather(lowering, return_exceptions=True)
    await store.stop()


async def begin_rewrite(redis: Redis) -> int:
    """Begin a slow rewrite; return the process that does it."""
    await redis.config_set("rdb-key-save-delay", KEY_TAKES_US)
    await redis.mset({f"k{number}": "v" for number in range(200)})
    await redis.execute_command("BGREWRITEAOF")  # type: ignore[no-untyped-call]  # redis-py has no type for it
    server = int((await redis.info("server"))["process_id"])
    async with asyncio.timeout(10):
        while not (await redis.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 -- only the server knows
            await asyncio.sleep(0.01)
    return int(Path(f"/proc/{server}/task/{server}/children").read_text())  # noqa: ASYNC240 -- no disk behind it


async def until_lowered(process: int) -> None:
    async with asyncio.timeout(5):
        while os.getpriority(os.PRIO_PROCESS, process) != LOW:  # noqa: ASYNC110 -- the system has no event for it
            await asyncio.sleep(0.01)


async def test_a_rewrite_gets_a_low_priority(store: EmbeddedStore) -> None:
    """Its server keeps its own."""
    async with connect(Settings(redis_url=store.url, _env_file=None)) as redis:
        await until_lowered(await begin_rewrite(redis))
        server = int((await redis.info("server"))["process_id"])
        assert os.getpriority(os.PRIO_PROCESS, server) == os.getpriority(os.PRIO_PROCESS, 0)
        assert (await redis.info("persistence"))["aof_rewrite_in_progress"] == 1


async def test_the_next_server_is_looked_after_too(store: EmbeddedStore) -> None:
    """One that was killed is started again by its owner, as another process."""
    async with connect(Settings(redis_url=store.url, _env_file=None)) as redis:
        os.kill(int((await redis.info("server"))["process_id"]), signal.SIGKILL)
        await asyncio.wait_for(store.wait_gone(), 10)
        await store.start()
        await until_lowered(await begin_rewrite(redis))
