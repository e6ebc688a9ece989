"""What answers have taught: kept by account, and forgotten rather than misread."""

import msgspec
import pytest
from redis.asyncio import Redis

from bridge.domain.polling.durations import BINS, NO_DURATIONS, DurationTable
from bridge.domain.polling.list_pages import ListStats
from bridge.store import keys
from bridge.store.tables.account_stats import KEPT_MS, AccountStats, AccountStatsTable

TABLE = DurationTable(entered=(3.0, 2.5, *(0.0,) * (BINS - 2)), ended=(0.5, 1.125, *(0.0,) * (BINS - 2)))
SEEN = ListStats(read_ms=7, count=250, places={"p1": 3}, missed={"p2": (0, 149)}, useless_ms=9)


@pytest.fixture
def account_stats(redis: Redis) -> AccountStatsTable:
    return AccountStatsTable(redis, lambda account: account[0])


async def test_lessons_come_back_as_they_were_saved(account_stats: AccountStatsTable) -> None:
    """Lists by name, only those asked for; what was never met is left out."""
    await account_stats.save_durations("x", {"sync_job": TABLE, "generated_post:video": NO_DURATIONS})
    await account_stats.save_list("x", "/a", SEEN)
    await account_stats.save_list("x", "/b", ListStats(count=1))
    stats = await account_stats.load({"x": {"/a", "/never"}})
    lives = {"sync_job": TABLE, "generated_post:video": NO_DURATIONS}
    assert stats == {"x": AccountStats(durations=lives, lists={"/a": SEEN})}


async def test_accounts_are_loaded_together_and_kept_apart(account_stats: AccountStatsTable) -> None:
    """An unknown one has no lessons; asking for none is no question."""
    await account_stats.save_list("x", "/a", SEEN)
    await account_stats.save_durations("y", {"sync_job": TABLE})
    stats = await account_stats.load({"x": ["/a"], "y": ["/a"], "z": []})
    assert stats == {
        "x": AccountStats(lists={"/a": SEEN}),
        "y": AccountStats(durations={"sync_job": TABLE}),
        "z": AccountStats(),
    }
    assert await account_stats.load({}) == {}


async def test_the_last_lesson_counts(account_stats: AccountStatsTable) -> None:
    """A list is remembered by itself: the life tables stay."""
    await account_stats.save_durations("x", {"sync_job": TABLE})
    await account_stats.save_list("x", "/a", SEEN)
    await account_stats.save_list("x", "/a", ListStats(count=9))
    stats = (await account_stats.load({"x": ["/a"]}))["x"]
    assert (stats.lists["/a"], stats.durations) == (ListStats(count=9), {"sync_job": TABLE})


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"no msgpack", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"count": "many"})],
)
async def test_what_cannot_be_read_is_unknown(
    account_stats: AccountStatsTable, redis: Redis, raw: bytes
) -> None:
    """It can be learnt again."""
    place = keys.account_stats("x", "x")
    await redis.hset(place, mapping={"lives": raw, "list:/a": raw})  # type: ignore[misc]  # redis-py types both clients at once
    assert await account_stats.load({"x": ["/a"]}) == {"x": AccountStats()}
    await account_stats.save_list("x", "/a", SEEN)
    assert (await account_stats.load({"x": ["/a"]}))["x"].lists == {"/a": SEEN}


async def test_an_account_that_is_watched_no_more_is_forgotten(
    account_stats: AccountStatsTable, redis: Redis
) -> None:
    """Thirty days after the last lesson."""
    for save in (account_stats.save_durations("x", {}), account_stats.save_list("x", "/a", SEEN)):
        await save
        assert KEPT_MS - 60_000 < await redis.pttl(keys.account_stats("x", "x")) <= KEPT_MS
        await redis.persist(keys.account_stats("x", "x"))


async def test_a_table_of_other_bins_is_unknown(account_stats: AccountStatsTable) -> None:
    """Another version may have counted otherwise."""
    await account_stats.save_durations("x", {"sync_job": DurationTable(entered=(1.0,) * 3, ended=(0.5,) * 3)})
    assert (await account_stats.load({"x": ()}))["x"].durations == {}
