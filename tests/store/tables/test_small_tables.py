"""Inbox and Idempotency-Key."""

import asyncio

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
