"""What a crash or a failover has kept from the feeds, the sweep puts there."""

from redis.asyncio import Redis

from bridge.domain.events.records import EventRecord
from bridge.store import feed_keys, keys
from bridge.store.records import pack
from bridge.store.store import Store
from bridge.store.tables.outbox import KEPT_MS, OLD_AGE_MS, outbox_member


async def note(store: Store, event: str, project: str, at_ms: int) -> None:
    await store.redis.zadd(feed_keys.outbox(keys.shard(event)), {outbox_member(event, project): at_ms})


async def waiting(redis: Redis, shard: str) -> dict[bytes, int]:
    rows = await redis.zrange(feed_keys.outbox(shard), 0, -1, withscores=True)
    return {entry: int(at_ms) for entry, at_ms in rows}


async def test_it_publishes_what_a_crash_left_behind(store: Store) -> None:
    """Of all shards and projects, but not what is only just born; each stays for a while and then leaves."""
    for number in range(430):
        await note(store, f"evt_{'ab'[number % 2]}{number}", f"prj_{number % 3}", number)
    await note(store, "evt_c_young", "prj_0", KEPT_MS)
    assert await store.outbox.drain(now_ms=KEPT_MS + 1000) == 430
    assert [await store.feed.last(f"prj_{number}") for number in range(3)] == [144, 143, 143]
    assert set((await waiting(store.redis, "a")).values()) == {KEPT_MS + 1000}
    assert await store.outbox.drain(now_ms=2 * KEPT_MS + 1000) == 1
    assert [len(await waiting(store.redis, shard)) for shard in "abc"] == [0, 0, 1]


async def test_what_was_published_leaves_it_without_being_read(store: Store) -> None:
    """Ten seconds later, with the position that it had at once."""
    await note(store, "evt_a1", "prj_1", 0)
    assert await store.feed.publish("prj_1", ["evt_a1"]) == [1]
    assert await store.outbox.drain(now_ms=KEPT_MS - 1) == 0
    assert len(await waiting(store.redis, "a")) == 1
    assert await store.outbox.drain(now_ms=KEPT_MS) == 0
    assert await waiting(store.redis, "a") == {}
    assert await store.feed.read("prj_1") == [("evt_a1", 1)]


async def test_what_a_feed_has_lost_comes_back(store: Store) -> None:
    """A failover of the feed alone has lost its last writes; the events were in the outbox of another slot."""
    await store.feed.publish("prj_1", ["evt_a0"])
    await note(store, "evt_a1", "prj_1", 5)
    await store.feed.publish("prj_1", ["evt_a1"])
    await store.redis.zrem(feed_keys.feed("prj_1"), "evt_a1")
    await store.redis.set(feed_keys.position("prj_1"), 1)
    assert await store.outbox.drain(now_ms=KEPT_MS + 5) == 1
    assert await store.feed.read("prj_1", after=2) == [("evt_a1", 1003)]


async def test_entries_of_the_version_before_are_published_too(store: Store) -> None:
    """They name no project: the event's record does. One whose record is gone just leaves."""
    record = EventRecord(id="evt_a1", type="t", project="prj_1", job="a1", at_ms=1, body=b"{}")
    await store.redis.set(keys.event("evt_a1"), pack(record))
    await store.redis.zadd(feed_keys.old_outbox("a"), {"evt_a1": 1, "evt_a_lost": 2, "evt_a_young": 9000})
    assert await store.outbox.drain(now_ms=OLD_AGE_MS + 1000) == 1
    assert await store.feed.read("prj_1") == [("evt_a1", 1)]
    assert await store.redis.zrange(feed_keys.old_outbox("a"), 0, -1) == [b"evt_a_young"]
