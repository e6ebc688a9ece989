"""What processes count adds up in the store, by day, hour, endpoint and in all."""

from redis.asyncio import Redis

from bridge.domain.lags import bucket_of
from bridge.store.dashboard import tally_keys
from bridge.store.dashboard.tallies import DAY_MS, HALF_HOUR_MS, HOUR_MS, MOST_KEYS, Pulse, Tallies

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
    assert (await tallies.read_hours("prj_1", now_ms=NOW_MS))[-1].delivered == {bucket_of(300): 1}


async def test_a_process_counts_under_so_many_keys_and_no_more(redis: Redis) -> None:
    """A store that is away for long must not fill the memory."""
    tallies = Tallies(redis)
    for number in range(MOST_KEYS + 5):
        tallies.note_event(f"prj_{number}", "x", now_ms=NOW_MS)
    await tallies.flush()
    assert await redis.dbsize() == MOST_KEYS
