"""What answers have taught: kept by account, and forgotten rather than misread."""

import msgspec
import pytest
from redis.asyncio import Redis

from bridge.domain.polling.durations import BINS, NO_LIVES, LifeTable
from bridge.domain.polling.list_pages import ListSeen
from bridge.store import keys
from bridge.store.tables.account_stats import KEPT_MS, Learnt, Lessons

TABLE = LifeTable(entered=(3.0, 2.5, *(0.0,) * (BINS - 2)), ended=(0.5, 1.125, *(0.0,) * (BINS - 2)))
SEEN = ListSeen(read_ms=7, count=250, places={"p1": 3}, missed={"p2": (0, 149)}, useless_ms=9)


@pytest.fixture
def learnt(redis: Redis) -> Learnt:
    return Learnt(redis, lambda account: account[0])


async def test_lessons_come_back_as_they_were_saved(learnt: Learnt) -> None:
    """Lists by name, only those asked for; what was never met is left out."""
    await learnt.save_lives("x", {"sync_job": TABLE, "generated_post:video": NO_LIVES})
    await learnt.save_list("x", "/a", SEEN)
    await learnt.save_list("x", "/b", ListSeen(count=1))
    lessons = await learnt.load({"x": {"/a", "/never"}})
    lives = {"sync_job": TABLE, "generated_post:video": NO_LIVES}
    assert lessons == {"x": Lessons(lives=lives, lists={"/a": SEEN})}


async def test_accounts_are_loaded_together_and_kept_apart(learnt: Learnt) -> None:
    """An unknown one has no lessons; asking for none is no question."""
    await learnt.save_list("x", "/a", SEEN)
    await learnt.save_lives("y", {"sync_job": TABLE})
    lessons = await learnt.load({"x": ["/a"], "y": ["/a"], "z": []})
    assert lessons == {
        "x": Lessons(lists={"/a": SEEN}),
        "y": Lessons(lives={"sync_job": TABLE}),
        "z": Lessons(),
    }
    assert await learnt.load({}) == {}


async def test_the_last_lesson_counts(learnt: Learnt) -> None:
    """A list is remembered by itself: the life tables stay."""
    await learnt.save_lives("x", {"sync_job": TABLE})
    await learnt.save_list("x", "/a", SEEN)
    await learnt.save_list("x", "/a", ListSeen(count=9))
    lessons = (await learnt.load({"x": ["/a"]}))["x"]
    assert (lessons.lists["/a"], lessons.lives) == (ListSeen(count=9), {"sync_job": TABLE})


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"no msgpack", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"count": "many"})],
)
async def test_what_cannot_be_read_is_unknown(learnt: Learnt, redis: Redis, raw: bytes) -> None:
    """It can be learnt again."""
    place = keys.learnt("x", "x")
    await redis.hset(place, mapping={"lives": raw, "list:/a": raw})  # type: ignore[misc]  # redis-py types both clients at once
    assert await learnt.load({"x": ["/a"]}) == {"x": Lessons()}
    await learnt.save_list("x", "/a", SEEN)
    assert (await learnt.load({"x": ["/a"]}))["x"].lists == {"/a": SEEN}


async def test_an_account_that_is_watched_no_more_is_forgotten(learnt: Learnt, redis: Redis) -> None:
    """Thirty days after the last lesson."""
    for save in (learnt.save_lives("x", {}), learnt.save_list("x", "/a", SEEN)):
        await save
        assert KEPT_MS - 60_000 < await redis.pttl(keys.learnt("x", "x")) <= KEPT_MS
        await redis.persist(keys.learnt("x", "x"))


async def test_a_table_of_other_bins_is_unknown(learnt: Learnt) -> None:
    """Another version may have counted otherwise."""
    await learnt.save_lives("x", {"sync_job": LifeTable(entered=(1.0,) * 3, ended=(0.5,) * 3)})
    assert (await learnt.load({"x": ()}))["x"].lives == {}
