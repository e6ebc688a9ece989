"""Lists newest first over all shards, with cursors that lose and repeat nothing; look-ups by URL."""

import random

import pytest

from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.store import keys
from bridge.store.commit import Change
from bridge.store.store import Store
from bridge.store.tables.indexes import Cursor, rank_callback, read_cursor, unrank_callback


def callback(identifier: str, created_ms: int = 1, fingerprint: bytes = b"f" * 16) -> Callback:
    return Callback(
        id=identifier,
        state=CallbackState.WATCHING,
        created_ms=created_ms,
        url=b"",
        origin="inbox:",
        masked="",
        fingerprint=fingerprint,
    )


async def rank(store: Store, made: Callback) -> None:
    await store.committer.commit(Change(keys.shard(made.id), (), rank_callback("prj_1", made)))


async def test_pages_of_all_shards_are_one_list(store: Store) -> None:
    """Every callback once, newest first, also where many share a millisecond and others come meanwhile."""
    dice = random.Random(1)
    made = [
        callback(f"cb_{'abc'[number % 3]}{number:04}", dice.choice([100, 100, 100, 200, number]))
        for number in range(700)
    ]
    for one in made:
        await rank(store, one)
    found: list[Cursor] = []
    cursor: Cursor | None = None
    while page := await store.indexes.callbacks("prj_1", cursor=cursor, limit=60):
        found += page
        cursor = read_cursor(page[-1].text())
        await rank(store, callback(f"cb_a9{len(found)}", 10_000))  # newer than the cursor: not in this walk
    assert found == sorted((Cursor(one.created_ms, one.id) for one in made), reverse=True)
    assert await store.indexes.count_callbacks("prj_1") == 700 + 12
    assert await store.indexes.callbacks("prj_2") == []


async def test_deliveries_have_a_list_of_their_own(store: Store) -> None:
    """By project, newest first."""
    await store.redis.zadd(keys.deliveries("a", "prj_1"), {"dlv_a1": 5, "dlv_a2": 9})
    await store.redis.zadd(keys.deliveries("b", "prj_1"), {"dlv_b1": 7})
    found = await store.indexes.deliveries("prj_1", limit=2)
    assert [place.id for place in found] == ["dlv_a2", "dlv_b1"]


@pytest.mark.parametrize(
    "text", ["", "x", "é", "MTIz", "LTUgY2I", "OTk5OTk5OTk5OTk5OTk5OTk5IGNi", "a" * 9000]
)
def test_a_cursor_that_we_did_not_give_is_refused(text: str) -> None:
    """Garbage, a negative or an endless number: one message with the fix."""
    with pytest.raises(ValueError, match="next_cursor"):
        read_cursor(text)


async def test_callbacks_are_found_by_url_until_they_are_removed(store: Store) -> None:
    """In every shard, whatever bytes the fingerprint begins with."""
    low, high = b"\x00" * 16, b"\xff" * 16
    some = [
        callback("cb_a1", fingerprint=low),
        callback("cb_b1", fingerprint=low),
        callback("cb_c1", fingerprint=high),
    ]
    for one in some:
        await rank(store, one)
    assert sorted(await store.indexes.callbacks_by_url("prj_1", low)) == ["cb_a1", "cb_b1"]
    assert await store.indexes.callbacks_by_url("prj_1", high) == ["cb_c1"]
    assert await store.indexes.callbacks_by_url("prj_1", b"\x01" * 16) == []
    assert len(await store.indexes.callbacks_by_url("prj_1", low, limit=1)) == 1
    await store.committer.commit(Change("a", (), unrank_callback("prj_1", some[0])))
    assert await store.indexes.callbacks_by_url("prj_1", low) == ["cb_b1"]
    assert await store.indexes.count_callbacks("prj_1") == 2


async def test_what_belongs_to_a_job_and_what_is_over(store: Store) -> None:
    """Events and deliveries oldest first; ended jobs whose retention is over."""
    await store.redis.zadd(keys.job_events("a1"), {"evt_a2": 2, "evt_a1": 1})
    await store.redis.zadd(keys.job_deliveries("a1"), {"dlv_a1": 1})
    await store.redis.zadd(keys.ended("a"), {"a1": 10, "a2": 20})
    assert await store.indexes.job_events("a1") == ["evt_a1", "evt_a2"]
    assert await store.indexes.job_deliveries("a1") == ["dlv_a1"]
    assert await store.indexes.over("a", 15) == ["a1"]
