"""Each event has one position in its project's feed, whoever publishes it how often."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.domain.events.records import EventRecord
from bridge.store import keys
from bridge.store.records import pack
from bridge.store.store import Store
from bridge.store.tables.feed import Feed


async def born(redis: Redis, event: str, project: str, at_ms: int) -> None:
    record = EventRecord(id=event, type="t", project=project, job="a1", at_ms=at_ms, body=b"{}")
    await redis.set(keys.event(event), pack(record))
    await redis.zadd(keys.outbox(keys.shard(event)), {event: at_ms})


async def test_positions_rise_and_a_repeat_gives_the_same(store: Store) -> None:
    """Projects count for themselves; nothing waits in the outbox afterwards."""
    await store.redis.zadd(keys.outbox("b"), {"evt_b1": 1, "evt_b2": 2})
    assert await store.feed.publish("prj_1", ["evt_a1", "evt_b1"]) == [1, 2]
    assert await store.feed.publish("prj_1", ["evt_b1", "evt_c1", "evt_a1"]) == [2, 3, 1]
    assert await store.feed.publish("prj_2", ["evt_a9"]) == [1]
    assert await store.feed.publish("prj_2", []) == []
    assert await store.redis.zrange(keys.outbox("b"), 0, -1) == [b"evt_b2"]
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
    """Of what is published at once each part fails or succeeds for itself; what failed waits in the outbox."""
    await store.redis.set(keys.feed("prj_2"), b"no feed")
    await store.redis.zadd(keys.outbox("a"), {"evt_a1": 1, "evt_a2": 2, "evt_a3": 3})
    parts = [("prj_1", ["evt_a1", "evt_b1"]), ("prj_2", ["evt_a2"]), ("prj_1", ["evt_a3"])]
    found = await asyncio.gather(*(store.feed.publish(*part) for part in parts), return_exceptions=True)
    assert (found[0], found[2]) == ([1, 2], [3])
    assert isinstance(found[1], ResponseError)
    assert await store.redis.zrange(keys.outbox("a"), 0, -1) == [b"evt_a2"]


async def test_a_feed_is_read_both_ways(store: Store) -> None:
    """Newest first for lists, oldest first behind a cursor for streams."""
    await store.feed.publish("prj_1", [f"evt_a{number}" for number in range(1, 6)])
    assert await store.feed.read("prj_1", limit=2) == [("evt_a5", 5), ("evt_a4", 4)]
    assert await store.feed.read("prj_1", before=4, limit=2) == [("evt_a3", 3), ("evt_a2", 2)]
    assert await store.feed.read("prj_1", after=3) == [("evt_a4", 4), ("evt_a5", 5)]
    assert await store.feed.read("prj_1", after=5) == []


async def test_forgotten_events_leave_their_positions_used(store: Store) -> None:
    """A client's cursor never meets another event at a position it has passed."""
    await store.feed.publish("prj_1", ["evt_a1", "evt_a2"])
    await store.feed.forget("prj_1", ["evt_a2"])
    await store.feed.forget("prj_1", [])
    assert await store.feed.publish("prj_1", ["evt_a3"]) == [3]


async def test_the_sweep_publishes_what_a_crash_left_behind(store: Store) -> None:
    """Of all shards and projects, but not what is only just born; a record that is gone leaves the outbox too."""
    for number in range(230):
        await born(store.redis, f"evt_{'ab'[number % 2]}{number}", f"prj_{number % 3}", number)
    await born(store.redis, "evt_c_young", "prj_0", 5000)
    await store.redis.zadd(keys.outbox("c"), {"evt_c_lost": 1})
    assert await store.feed.drain_outbox(before_ms=1000) == 230
    assert [await store.feed.last(f"prj_{number}") for number in range(3)] == [77, 77, 76]
    assert await store.redis.zrange(keys.outbox("c"), 0, -1) == [b"evt_c_young"]
    assert await store.feed.drain_outbox(before_ms=1000) == 0


async def test_a_crash_between_the_two_steps_changes_no_position(redis: Redis) -> None:
    """Published but still in the outbox: the sweep finds the position that was given."""
    await born(redis, "evt_a1", "prj_1", 1)
    feed = Feed(redis, "a")
    assert await feed.publish("prj_1", ["evt_a1"]) == [1]
    await redis.zadd(keys.outbox("a"), {"evt_a1": 1})
    await feed.drain_outbox(before_ms=10)
    assert await feed.read("prj_1") == [("evt_a1", 1)]
