"""What processes count adds up in the store, by day, hour, endpoint and in all."""

import pytest
from redis.asyncio import Redis

from bridge.domain.lags import bucket_of
from bridge.store.dashboard import tally_keys
from bridge.store.dashboard.tallies import (
    DAY_MS,
    HALF_HOUR_MS,
    HOUR_MS,
    MOST_COUNTS,
    Pulse,
    Tallies,
    read_lags,
)

NOW_MS = 20_000 * DAY_MS + 5 * HOUR_MS


async def test_what_two_processes_count_adds_up(redis: Redis) -> None:
    here, there = Tallies(redis), Tallies(redis)
    for each in (here, there):
        each.note_event("prj_1", "sync_job.failed", now_ms=NOW_MS)
        each.note_ending("prj_1", failed=True, lag_ms=14_000, now_ms=NOW_MS)
        await each.flush()
        await each.flush()  # nothing is counted twice
    here.note_event("prj_1", "sync_job.failed", now_ms=NOW_MS - DAY_MS)
    here.note_ending("prj_1", failed=False, lag_ms=400, now_ms=NOW_MS - HOUR_MS)
    here.note_ending("prj_2", failed=False, lag_ms=1, now_ms=NOW_MS)
    await here.flush()
    assert await here.read_days("prj_1", now_ms=NOW_MS) == ({"sync_job.failed": 2}, {"sync_job.failed": 1})
    before, now = (await there.read_hours("prj_1", now_ms=NOW_MS))[-2:]
    assert (now.ended, now.failed, now.detected) == (2, 2, {bucket_of(14_000): 2})
    assert (before.ended, before.failed, before.detected) == (1, 0, {bucket_of(400): 1})
    totals = await there.read_totals()
    assert totals["d:ms"] == 28_401
    assert read_lags(totals, "d") == {bucket_of(14_000): 2, bucket_of(400): 1, bucket_of(1): 1}
    assert await redis.ttl(tally_keys.day("prj_1", NOW_MS // DAY_MS)) > 7 * 86_400


async def test_an_endpoint_has_a_pulse_of_a_day(redis: Redis) -> None:
    tallies = Tallies(redis)
    for ago, ok in ((0, True), (0, False), (1, True), (48, True)):
        at_ms = NOW_MS - ago * HALF_HOUR_MS
        tallies.note_attempt("prj_1", verdict="retry", endpoint="ep_1", ok=ok, lag_ms=None, now_ms=at_ms)
    await tallies.flush()
    pulse = await tallies.read_pulse("prj_1", "ep_1", now_ms=NOW_MS)
    assert len(pulse) == 48
    assert pulse[-2:] == [Pulse(1, 0), Pulse(1, 1)]
    assert sum(each.ok for each in pulse) == 2
    assert (await tallies.read_totals())["attempts:retry"] == 4


async def test_only_a_first_attempt_has_a_lag(redis: Redis) -> None:
    tallies = Tallies(redis)
    for lag_ms in (300, None):
        tallies.note_attempt("prj_1", verdict="succeeded", endpoint="", ok=True, lag_ms=lag_ms, now_ms=NOW_MS)
    await tallies.flush()
    hour = (await tallies.read_hours("prj_1", now_ms=NOW_MS))[-1]
    assert (hour.delivered, hour.ended) == ({bucket_of(300): 1}, 0)
    totals = await tallies.read_totals()
    assert totals == {"attempts:succeeded": 2, "s:ms": 300, f"s{bucket_of(300)}": 1}


async def test_a_clock_that_went_back_makes_no_negative_lag(redis: Redis) -> None:
    tallies = Tallies(redis)
    tallies.note_ending("prj_1", failed=False, lag_ms=-5, now_ms=NOW_MS)
    await tallies.flush()
    totals = await tallies.read_totals()
    assert totals == {"d:ms": 0, f"d{bucket_of(0)}": 1}


async def test_what_is_given_up_and_repaired_counts_in_all(redis: Redis) -> None:
    tallies = Tallies(redis)
    tallies.note_parked("prj_1", now_ms=NOW_MS)
    tallies.note_repairs("leases", 3)
    tallies.note_repairs("none", 0)
    await tallies.flush()
    assert await tallies.read_totals() == {"parked": 1, "repairs:leases": 3}
    assert (await tallies.read_days("prj_1", now_ms=NOW_MS))[0] == {"parked": 1}


async def test_a_process_keeps_so_many_counts_and_no_more(redis: Redis) -> None:
    """A store that is away for long must not fill the memory."""
    tallies = Tallies(redis)
    for number in range(MOST_COUNTS + 5):
        tallies.note_event(f"prj_{number}", "x", now_ms=NOW_MS)
    await tallies.flush()
    assert await redis.dbsize() == MOST_COUNTS


async def test_a_count_that_fails_costs_no_later_one(redis: Redis) -> None:
    """It fails once, and nothing is counted twice."""
    tallies = Tallies(redis)
    tallies.note_event("prj_1", "sync_job.failed", now_ms=NOW_MS)
    tallies.note_ending("prj_1", failed=False, lag_ms=None, now_ms=NOW_MS)  # type: ignore[arg-type]  # a mistake
    with pytest.raises(TypeError):
        await tallies.flush()
    tallies.note_event("prj_1", "sync_job.failed", now_ms=NOW_MS)
    await tallies.flush()
    today, _ = await tallies.read_days("prj_1", now_ms=NOW_MS)
    assert today == {"sync_job.failed": 2}
