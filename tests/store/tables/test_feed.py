"""Each event has one position in its project's feed, whoever publishes it how often."""

import asyncio

from redis.exceptions import ResponseError

from bridge.store import feed_keys
from bridge.store.store import Store
from bridge.store.tables.feed import Feed


async def test_positions_rise_and_a_repeat_gives_the_same(store: Store) -> None:
    """Projects count for themselves."""
    assert await store.feed.publish("prj_1", ["evt_a1", "evt_b1"]) == [1, 2]
    assert await store.feed.publish("prj_1", ["evt_b1", "evt_c1", "evt_a1"]) == [2, 3, 1]
    assert await store.feed.publish("prj_2", ["evt_a9"]) == [1]
    assert await store.feed.publish("prj_2", []) == []
    assert await store.feed.last("prj_1") == 3
    assert await store.feed.position_of("prj_1", "evt_c1") == 3
    assert await store.feed.position_of("prj_1", "evt_a9") is None


async def test_positions_are_given_exactly_once_by_many_at_a_time(store: Store) -> None:
    """Forty events published by ten workers in different orders fill 1 to 40."""
    events = [f"evt_a{number:02}" for number in range(40)]
    orders = [events[start:] + events[:start] for start in range(0, 40, 4)]
    found = await asyncio.gather(*(store.feed.publish("prj_1", order) for order in orders))
    given = [dict(zip(order, positions, strict=True)) for order, positions in zip(orders, found, strict=True)]
    assert all(positions == given[0] for positions in given)
    assert sorted(given[0].values()) == list(range(1, 41))


async def test_a_feed_that_cannot_be_written_holds_up_no_other_project(store: Store) -> None:
    """Of what is published at once each part fails or succeeds for itself."""
    await store.redis.set(feed_keys.feed("prj_2"), b"no feed")
    parts = [("prj_1", ["evt_a1", "evt_b1"]), ("prj_2", ["evt_a2"]), ("prj_1", ["evt_a3"])]
    found = await asyncio.gather(*(store.feed.publish(*part) for part in parts), return_exceptions=True)
    assert (found[0], found[2]) == ([1, 2], [3])
    assert isinstance(found[1], ResponseError)


async def test_a_feed_is_read_both_ways(store: Store) -> None:
    """Newest first for lists, oldest first behind a cursor for streams."""
    await store.feed.publish("prj_1", [f"evt_a{number}" for number in range(1, 6)])
    assert await store.feed.read("prj_1", limit=2) == [("evt_a5", 5), ("evt_a4", 4)]
    assert await store.feed.read("prj_1", before=4, limit=2) == [("evt_a3", 3), ("evt_a2", 2)]
    assert await store.feed.read("prj_1", after=3) == [("evt_a4", 4), ("evt_a5", 5)]
    assert await store.feed.read("prj_1", after=5) == []


async def test_forgotten_events_leave_their_positions_used(store: Store) -> None:
    """A client's cursor never meets another event at a position it has passed, and hears what it may have missed."""
    await store.feed.publish("prj_1", ["evt_a1", "evt_a2", "evt_a3"])
    assert await store.feed.forgotten("prj_1") == 0
    await store.feed.forget("prj_1", ["evt_a2", "evt_a9"])
    await store.feed.forget("prj_1", ["evt_a1"])
    await store.feed.forget("prj_1", [])
    assert await store.feed.forgotten("prj_1") == 2
    assert await store.feed.publish("prj_1", ["evt_a4"]) == [4]


async def roll_back(store: Store, position: int) -> None:
    """Lose all that was written into the feed of prj_1 behind a position, as a failover of its slot may."""
    await store.redis.zremrangebyscore(feed_keys.feed("prj_1"), f"({position}", "+inf")
    await store.redis.set(feed_keys.position("prj_1"), position)


async def test_a_feed_that_lost_its_last_positions_gives_none_twice(store: Store) -> None:
    """It goes on well behind what any process has seen: readers are past those positions."""
    await store.feed.publish("prj_1", [f"evt_a{number}" for number in range(1, 6)])
    reader, writer = Feed(store.redis), Feed(store.redis)
    await reader.read("prj_1", after=0)
    await roll_back(store, 3)
    assert await store.feed.publish("prj_1", ["evt_a6"]) == [1006]
    await roll_back(store, 3)
    assert await reader.last("prj_1") == 1005
    assert await writer.publish("prj_1", ["evt_a7"]) == [1006]
    assert await reader.last("prj_1") == 1006


async def test_readers_hear_that_a_feed_has_grown(store: Store) -> None:
    """Once a publication, by the project's name; a repetition is no news."""
    async with store.redis.pubsub() as channel:
        await channel.subscribe(feed_keys.HINTS)
        await channel.get_message(timeout=5)
        await store.feed.publish("prj_1", ["evt_a1", "evt_a2"])
        await store.feed.publish("prj_1", ["evt_a1"])
        await store.feed.publish("prj_2", ["evt_b1"])
        heard = [await channel.get_message(ignore_subscribe_messages=True, timeout=5) for _ in range(2)]
    assert [message and message["data"] for message in heard] == [b"prj_1", b"prj_2"]
