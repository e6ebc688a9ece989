"""Wake-ups: sent when a queue's next visit has become earlier, and only then."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.lanes import Claim, Lanes, Settled
from bridge.store.queue.wakeups import listen
from bridge.store.server.connect import connect
from tests.api.serving import make_settings
from tests.store.conftest import Server

LEASE_MS = 60_000


@asynccontextmanager
async def listening(*queues: Lanes) -> AsyncIterator[None]:
    """Listen for all queues, which are woken once when the subscriptions stand."""
    task = asyncio.create_task(listen(queues))
    try:
        for queue in queues:
            await woken(queue)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def woken(queue: Lanes) -> None:
    """Wait for a wake-up."""
    async with asyncio.timeout(10):
        await queue.woken.wait()
    queue.woken.clear()


@pytest.fixture
async def lanes(real: Redis) -> AsyncIterator[Lanes]:
    lanes = Lanes(real, "poll", "ab")
    async with listening(lanes):
        yield lanes


async def add(lanes: Lanes, member: str, *, lane: str = "x", delay_ms: int = 0, shard: str = "a") -> None:
    change = Change(shard, (), (Due(lanes.queue, lane, member, delay_ms, "sooner"),))
    assert await Committer(lanes.redis, aof=False).commit(change) == "done"


async def claim(lanes: Lanes, lane: str = "x", *, most: int = 9) -> Claim:
    return await lanes.claim("a", [(lane, 9)], most=most, page=9, lease_ms=LEASE_MS)


async def is_silent(lanes: Lanes) -> bool:
    """Whether nothing has been sent, once a last message, sent now, is there."""
    other = Lanes(lanes.redis, "dlv", "a")
    async with listening(other):
        silent = not lanes.woken.is_set()
        await lanes.redis.publish("{a}:poll:lanes", "")
        await woken(lanes)
    return silent


async def test_what_comes_before_everything_else_wakes(lanes: Lanes) -> None:
    """An item in an empty queue does, and one that is due earlier than all others, in any shard."""
    await add(lanes, "1", delay_ms=9_000)
    await woken(lanes)
    await add(lanes, "2", lane="y", delay_ms=5_000)
    await woken(lanes)
    await add(lanes, "3", shard="b")
    await woken(lanes)


async def test_a_busy_queue_is_silent(lanes: Lanes) -> None:
    """What is due after something that is due already, or later than others, wakes nobody."""
    await add(lanes, "1")
    await woken(lanes)
    for number in range(5):
        await add(lanes, f"due {number}")
        await add(lanes, f"later {number}", lane="y", delay_ms=5_000)
    assert await is_silent(lanes)


async def test_a_settled_item_wakes_where_it_is_next(lanes: Lanes) -> None:
    """Before the end of its lease, which the queue was to be visited at."""
    await add(lanes, "1")
    held = await claim(lanes)
    await woken(lanes)
    await lanes.settle("a", [Settled("x", "1", held.token, 2 * LEASE_MS)])
    assert await is_silent(lanes)
    held = await claim(lanes)
    await lanes.unblock("a", "x", due_all=True)
    await woken(lanes)
    held = await claim(lanes)
    await lanes.settle("a", [Settled("x", "1", held.token, 1_000)])
    await woken(lanes)


async def test_a_woken_lane_wakes_its_queue(lanes: Lanes) -> None:
    """A credential that was replaced lets the jobs of its account be read at once."""
    await add(lanes, "1")
    await lanes.block("a", "x", for_ms=60_000)
    await woken(lanes)
    await lanes.unblock("a", "x", due_all=False)
    await woken(lanes)


async def test_a_slot_that_comes_free_wakes_the_deliveries_that_wait_for_it(real: Redis) -> None:
    """The settled attempt's own delivery is over; the next URL of its host has its turn."""
    lanes = FairLanes(real, "a")
    urls = [f"prj_1 https://h.example:443 {number:016x}" for number in range(12)]
    async with listening(lanes):
        for url in urls:
            await add(lanes, url, lane=url)
        most = [(url, 99) for url in urls]
        held = await lanes.claim("a", most, most=99, page=99, lease_ms=LEASE_MS)
        assert 0 < len(held.items) < len(urls)
        lanes.woken.clear()
        first = held.items[0]
        await lanes.settle("a", [Settled(first.lane, first.member, held.token, None, outcome="g")])
        await woken(lanes)


async def test_a_connection_that_is_made_again_wakes(server: Server, real: Redis) -> None:
    """Messages may have been sent meanwhile, and later ones are heard again."""
    async with connect(make_settings(server.socket)) as redis:
        lanes = Lanes(redis, "poll", "a")
        async with listening(lanes):
            assert await real.client_kill_filter(_type="pubsub") == 1
            await woken(lanes)
            await add(lanes, "1")
            await woken(lanes)


async def test_a_user_without_channels_can_still_schedule(server: Server, real: Redis) -> None:
    """Redis gives new users none by default: what a script has to write must not depend on the message."""
    await real.execute_command("ACL", "SETUSER", "narrow", "on", "nopass", "resetchannels", "~*", "+@all")  # type: ignore[no-untyped-call]  # redis-py
    async with Redis(unix_socket_path=str(server.socket), username="narrow", password="any") as redis:
        lanes = Lanes(redis, "poll", "a")
        await add(lanes, "1")
        held = await claim(lanes)
        assert await lanes.settle("a", [Settled("x", "1", held.token, 0)]) == []
        assert await lanes.unblock("a", "x", due_all=True) == 0
        task = asyncio.create_task(listen([lanes]))
        await asyncio.wait([task], timeout=0.1)
        assert not task.done(), "it is tried again, much later"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
