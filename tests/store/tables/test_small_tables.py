"""Inbox and Idempotency-Key."""

import asyncio

from bridge.store import keys
from bridge.store.store import Store
from bridge.store.tables.idempotency import New, Other, Same


async def test_the_inbox_keeps_the_newest_hundred_of_a_project(store: Store) -> None:
    """Newest first, others' not at all."""
    for number in range(105):
        await store.inbox.add("prj_1", b"%d" % number)
    kept = await store.inbox.list("prj_1")
    assert (len(kept), kept[0], kept[-1]) == (100, b"104", b"5")
    assert await store.inbox.list("prj_1", 2) == [b"104", b"103"]
    assert await store.inbox.list("prj_2") == []


async def test_an_inbox_keeps_at_most_a_mebibyte_beside_its_newest_entry(store: Store) -> None:
    """The oldest go first, and an entry that is larger by itself is shown."""
    entries = [b"%d" % number * 100_000 for number in range(5, 10)] + [b"a" * 900_000]
    for entry in entries:
        await store.inbox.add("prj_1", entry)
    assert await store.inbox.list("prj_1") == [entries[-1], entries[-2]]
    await store.inbox.add("prj_1", b"b" * 2_000_000)
    await store.inbox.add("prj_1", b"b" * 2_000_000)
    assert await store.inbox.list("prj_1") == [b"b" * 2_000_000]
    await store.inbox.add("prj_1", b"c")
    assert await store.inbox.list("prj_1") == [b"c"]


async def test_kept_answers_are_counted_until_they_expire(store: Store) -> None:
    """For the day that they last, and at most an hour longer; others' are not counted."""
    hours = iter([0, 1, 1, 24, 25, 26])
    store.idempotency._clock_ms = lambda: next(hours) * 3_600_000
    for key in ("k", "l"):
        await store.idempotency.begin("prj_1", key, b"f")
        await store.idempotency.finish("prj_1", key, b"a" * 5_000)
    counted = [await store.idempotency.total("prj_1") for _ in range(4)]
    assert [round(count, -3) for count in counted] == [10_000, 10_000, 5_000, 0]
    store.idempotency._clock_ms = lambda: 0
    assert await store.idempotency.total("prj_2") == 0
    await store.idempotency.finish("prj_1", "gone", b"a")
    assert await store.redis.exists(keys.idempotency("prj_1", "gone")) == 0


async def test_the_same_request_gets_the_same_answer(store: Store) -> None:
    """None while the first is under way; another request under the key is told apart; projects do not meet."""
    begin = store.idempotency.begin
    assert await begin("prj_1", "k", b"request") == New()
    assert await begin("prj_1", "k", b"request") == Same(None)
    assert await begin("prj_1", "k", b"other") == Other()
    assert await begin("prj_2", "k", b"other") == New()
    await store.idempotency.finish("prj_1", "k", b"answer")
    assert await begin("prj_1", "k", b"request") == Same(b"answer")
    assert await begin("prj_1", "k", b"other") == Other()


async def test_one_of_many_equal_requests_at_once_goes_on(store: Store) -> None:
    """The others hear that it is under way."""
    found = await asyncio.gather(*(store.idempotency.begin("prj_1", "k", b"f") for _ in range(10)))
    assert sorted(type(one).__name__ for one in found) == ["New"] + ["Same"] * 9


async def test_a_key_lives_for_a_day_once_answered_and_shortly_before(store: Store) -> None:
    """What died half-way blocks its client for a minute, what failed on our side not at all."""
    await store.idempotency.begin("prj_1", "k", b"f")
    (key,) = await store.redis.keys("*idem*")
    assert 0 < await store.redis.pttl(key) <= 60_000
    await store.idempotency.finish("prj_1", "k", b"answer")
    assert 86_000_000 < await store.redis.pttl(key) <= 86_400_000
    await store.idempotency.abandon("prj_1", "k")
    await store.idempotency.finish("prj_1", "k", b"late")
    assert await store.idempotency.begin("prj_1", "k", b"g") == New()


async def test_a_repeated_command_recognises_its_own_claim(store: Store) -> None:
    """A SET that was cut off and sent again is still the first."""
    store.idempotency._dice = lambda size: b"1" * size
    assert await store.idempotency.begin("prj_1", "k", b"f") == New()
    assert await store.idempotency.begin("prj_1", "k", b"f") == New()
