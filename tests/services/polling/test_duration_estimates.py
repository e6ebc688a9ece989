"""Duration estimates: what all workers see of an account's jobs adds up to how long they take."""

from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from msgspec.structs import replace

from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.polling.durations import NO_DURATIONS, Durations, DurationTable
from bridge.services.duration_estimates import (
    MAX_NOTES,
    STALE_AFTER_S,
    DurationEstimates,
    category_of,
)
from bridge.store.tables.account_stats import AccountStats, AccountStatsTable

BORN = 1_800_000_000_000
JOB = Job(
    project="prj_1",
    account="acc_1",
    kind="generated_post",
    id="p1",
    born_ms=BORN,
    state=JobState.WATCHING,
    run=1,
    run_ms=BORN,
    clock_ms=BORN,
)
ITEMS = (("i1", ""),)
SORT = "sync_job"
SYNC = replace(JOB, kind=SORT)
DOCUMENTED = Durations([(30.0, 300.0)])


class Workers:
    """Several workers' estimates on one store and one clock that the test sets."""

    def __init__(self, account_stats: AccountStatsTable) -> None:
        self.account_stats = account_stats
        self.now_s = 0.0

    def start(self, *, scale: float = 1.0) -> DurationEstimates:
        return DurationEstimates(self.account_stats, scale=scale, clock_s=lambda: self.now_s)

    async def merge(self, *each: DurationEstimates) -> None:
        for duration_estimates in each:
            await duration_estimates.merge("acc_1", await self.stats())

    async def stats(self) -> AccountStats:
        return (await self.account_stats.load({"acc_1": ()}))["acc_1"]

    async def table(self, sort: str = SORT) -> DurationTable:
        return (await self.stats()).durations.get(sort, NO_DURATIONS)


@pytest.fixture
async def workers() -> Any:
    async with FakeAsyncRedis() as redis:
        yield Workers(AccountStatsTable(redis, lambda _: "a"))


def live(
    duration_estimates: DurationEstimates, *, reads_s: list[float], end_s: float, unit_ms: float = 1000
) -> None:
    """Observe one job from its start to its end, as a worker does."""
    log = PollLog()
    for age_s in reads_s:
        at_ms = BORN + round(age_s * unit_ms)
        duration_estimates.note(SYNC, log, at_ms=at_ms, ended=end_s <= age_s)
        log = replace(log, polls=log.polls + 1, seen_ms=at_ms)


def ended_by(duration_estimates: DurationEstimates, age_s: float) -> float:
    return duration_estimates.durations("acc_1", [SORT])[SORT].at(age_s).ended


def read(kind: str, **changes: Any) -> Job:
    return replace(JOB, kind=kind, seen=True, **changes)


@pytest.mark.parametrize(
    ("job", "interval_s", "sort"),
    [
        (JOB, 0, "generated_post"),
        (replace(JOB, media="video"), 0, "generated_post:video"),
        (replace(JOB, media="hologram"), 0, "generated_post"),
        (
            read("generated_post", parts=ITEMS, media="video"),
            10,
            "generated_post:image",
        ),  # what it shows wins
        (read("generated_post", media="video"), 15, "generated_post:video"),  # shows no items as yet
        (read("generated_post"), 15, "generated_post"),
        (read("generated_media_item"), 10, "generated_media_item:image"),
        (replace(JOB, kind="generated_media_item"), 10, "generated_media_item"),
        (read("generated_media_item"), 11, "generated_media_item"),
        (read("sync_job", media="video"), 15, "sync_job"),
        (read("reelbot_video"), 5, "reelbot_video"),
    ],
)
def test_a_sort_is_a_kind_with_its_media(job: Job, interval_s: float, sort: str) -> None:
    """As its items show it, before that as its registration told it."""
    assert category_of(job, PollLog(interval_s=interval_s)) == sort


async def test_nothing_is_known_but_the_documents(workers: Workers) -> None:
    """A new account, and one without a completed job, have the documented durations."""
    duration_estimates = workers.start()
    assert ended_by(duration_estimates, 165) == DOCUMENTED.at(165).ended
    await workers.merge(duration_estimates)
    assert ended_by(duration_estimates, 165) == DOCUMENTED.at(165).ended
    assert await workers.stats() == AccountStats()


async def test_two_workers_evidence_adds_up(workers: Workers) -> None:
    """Each merges what it saw into the stored table, and then both know all of it."""
    one, two = workers.start(), workers.start()
    for duration_estimates in (one, two):
        for _ in range(20):
            live(duration_estimates, reads_s=[50, 70], end_s=60)
    await workers.merge(one)
    alone = ended_by(one, 75)
    await workers.merge(two)
    table = await workers.table()
    assert sum(table.ended) == pytest.approx(40, abs=0.1)
    assert table.entered[0] == pytest.approx(40, abs=0.1)
    assert DOCUMENTED.at(75).ended < alone < ended_by(two, 75)
    await workers.merge(one)
    assert ended_by(one, 75) == ended_by(two, 75)


async def test_what_was_folded_is_not_folded_again(workers: Workers) -> None:
    """A job counts once, however often a worker merges."""
    duration_estimates = workers.start()
    live(duration_estimates, reads_s=[20], end_s=15)
    await workers.merge(duration_estimates, duration_estimates)
    assert sum((await workers.table()).ended) == pytest.approx(1, abs=0.01)


async def test_lives_are_noted_without_the_scale(workers: Workers) -> None:
    """At REELBRIDGE_POLL_SCALE 0.05 the same durations are stored."""
    fast, slow = workers.start(scale=0.05), workers.start()
    live(slow, reads_s=[40, 55, 70], end_s=65)
    await workers.merge(slow)
    expected = await workers.table()
    await workers.account_stats.save_durations("acc_1", {})
    live(fast, reads_s=[40, 55, 70], end_s=65, unit_ms=50)
    await workers.merge(fast)
    assert await workers.table() == expected


async def test_a_later_run_is_a_life_of_its_own(workers: Workers) -> None:
    """Observations of the run before do not make it older; a poll from before its start is ignored."""
    duration_estimates = workers.start()
    rerun = replace(SYNC, run=2, run_ms=BORN + 500_000)
    before = PollLog(polls=9, seen_ms=BORN + 400_000)
    duration_estimates.note(rerun, before, at_ms=BORN + 499_999, ended=True)
    duration_estimates.note(rerun, before, at_ms=BORN + 503_000, ended=True)
    await workers.merge(duration_estimates)
    table = await workers.table()
    assert (table.entered[0], table.ended[0]) == (1, 1)
    assert sum(table.ended) == 1


async def test_a_picture_is_fresh_for_a_while(workers: Workers) -> None:
    """By account."""
    duration_estimates = workers.start()
    assert duration_estimates.is_stale("acc_1")
    await workers.merge(duration_estimates)
    workers.now_s += STALE_AFTER_S - 0.1
    assert (duration_estimates.is_stale("acc_1"), duration_estimates.is_stale("acc_2")) == (False, True)
    workers.now_s += 0.2
    assert duration_estimates.is_stale("acc_1")


async def test_accounts_learn_apart(workers: Workers) -> None:
    """One client's videos say nothing of another's."""
    duration_estimates = workers.start()
    for _ in range(50):
        live(duration_estimates, reads_s=[50, 70], end_s=60)
    await workers.merge(duration_estimates)
    await duration_estimates.merge("acc_2", AccountStats())
    assert ended_by(duration_estimates, 75) > 0.4
    assert duration_estimates.durations("acc_2", [SORT])[SORT].at(75).ended == DOCUMENTED.at(75).ended


async def test_notes_between_two_foldings_are_bounded(workers: Workers) -> None:
    """An account with an ample budget is never merged: only its latest jobs are kept."""
    duration_estimates = workers.start()
    for _ in range(MAX_NOTES):
        duration_estimates.note(SYNC, PollLog(), at_ms=BORN + 1_000, ended=False)
    for _ in range(MAX_NOTES):
        duration_estimates.note(replace(JOB, kind="reelbot_video"), PollLog(), at_ms=BORN + 1_000, ended=True)
    await workers.merge(duration_estimates)
    assert set((await workers.stats()).durations) == {"reelbot_video"}
