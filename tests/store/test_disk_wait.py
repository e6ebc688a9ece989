"""While a change waits for the disk, the server is made to look again and again whether it is there."""

import asyncio

from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Put
from bridge.store.disk_wait import DiskWait


async def count_looks(redis: Redis) -> int:
    return int((await redis.info("commandstats")).get("cmdstat_exists", {"calls": 0})["calls"])


async def test_the_server_is_asked_while_a_wait_lasts(real: Redis) -> None:
    """However many wait, one of them asks, and nobody once they are over."""
    before, tasks = await count_looks(real), asyncio.all_tasks()
    wait = DiskWait(real, "{a}:touched")
    async with asyncio.timeout(10):
        async with wait.waiting(), wait.waiting():
            assert len(asyncio.all_tasks() - tasks) == 1
            while await count_looks(real) < before + 3:  # noqa: ASYNC110 -- a server tells nobody of its commands
                await asyncio.sleep(0)
        await asyncio.gather(*(asyncio.all_tasks() - tasks))
        async with wait.waiting():  # and again
            while await count_looks(real) < before + 6:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0)


async def test_a_durable_change_leaves_no_task_behind(real: Redis) -> None:
    """An idle process asks the server nothing."""
    tasks = asyncio.all_tasks()
    change = Change("a", (), (Put("{a}:j:1", b"1"),))
    assert await Committer(real, aof=True).commit(change, durable=True) == "done"
    async with asyncio.timeout(10):
        await asyncio.gather(*(asyncio.all_tasks() - tasks))
