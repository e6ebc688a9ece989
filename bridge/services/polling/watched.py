"""The jobs that are watched, with what is expected of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.domain.jobs.records import Job, PollLog
from bridge.services.context import Services
from bridge.services.duration_estimates import LATE, DurationEstimates, category_of
from bridge.services.queries import NO_LOG
from bridge.store.queue.upcoming import Place
from bridge.store.records import Wanted
from bridge.store.tables.accounts import Account

OWN_JOBS: Final = 30  # that an account must have shown before its own durations count as known


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Half of the jobs like this one end within `typical_s` seconds, nine in ten within `late_s`.

    Of a job that runs `late_s` is what was written when it began, so that what counts late jobs and their bars agree.
    """

    typical_s: float
    late_s: float
    documented: bool  # the account has not shown enough jobs of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedJob:
    """A job in the queue; `due_ms` is its next poll, negative while it is read."""

    key: str
    job: Job
    log: PollLog
    due_ms: int
    expected: Expected


async def list_watched(services: Services, accounts: Sequence[Account], *, limit: int) -> list[WatchedJob]:
    """Return the jobs of accounts that are late longest or will be soonest, then those that do not run yet.

    It takes a few round trips however many are watched.
    """
    store = services.store
    dues = await _choose(services, list_places(services, accounts), limit)
    keys = list(dues)
    page = await store.load_many(Wanted(jobs=keys, logs=keys))
    found = {key: page.jobs[key].record for key in keys if key in page.jobs}
    logs = {key: page.logs[key].record if key in page.logs else NO_LOG for key in found}
    expected = await estimate_jobs(services, [(key, found[key], logs[key]) for key in found])
    return [
        WatchedJob(key=key, job=job, log=logs[key], due_ms=dues[key], expected=each)
        for (key, job), each in zip(found.items(), expected, strict=True)
    ]


def list_places(services: Services, accounts: Sequence[Account]) -> list[Place]:
    """Return where the queues of accounts are."""
    return [(services.store.shard_of(each.id), each.id) for each in accounts]


async def _choose(services: Services, places: Sequence[Place], limit: int) -> dict[str, int]:
    """Return the jobs to show in order, and when each is polled next."""
    store, due = services.store, dict[str, int]()
    running = await store.upcoming.first_expected(places, limit=limit)
    for shard in sorted({key[0] for _, key, _ in running}):
        here = [(account, key) for account, key, _ in running if key[0] == shard]
        for (_, key), due_ms in zip(here, await store.poll.due_many(shard, here), strict=True):
            if due_ms is not None:
                due[key] = due_ms
    chosen = {key: due[key] for _, key, _ in running if key in due}
    if len(chosen) < limit:
        for _, key, due_ms in await store.upcoming.first(places, limit=limit):
            chosen.setdefault(key, due_ms)
    return dict(list(chosen.items())[:limit])


async def count_late(services: Services, accounts: Sequence[Account]) -> int:
    """Return how many jobs of accounts run for longer than nine in ten like them do."""
    places = list_places(services, accounts)
    return await services.store.upcoming.count_late(places, now_ms=services.clock_ms())


async def estimate_jobs(services: Services, jobs: Sequence[tuple[str, Job, PollLog]]) -> list[Expected]:
    """Return what is expected of (key, job, log), from what their accounts' jobs have shown, in two round trips."""
    scale = services.settings.poll_scale
    estimates = DurationEstimates(services.store.account_stats, scale=scale)
    stats = await services.store.account_stats.load({job.account: () for _, job, _ in jobs})
    for account, each in stats.items():
        await estimates.merge(account, each)
    expected: dict[tuple[str, str], Expected] = {}
    for _, job, log in jobs:
        category = category_of(job, log)
        if (job.account, category) not in expected:
            durations = estimates.durations(job.account, (category,))[category]
            table = stats[job.account].durations.get(category)
            expected[job.account, category] = Expected(
                typical_s=durations.quantile(0.5) * scale,
                late_s=durations.quantile(LATE) * scale,
                documented=table is None or table.entered[0] < OWN_JOBS,
            )
    late_ms = await services.store.upcoming.expected_ms([(job.account, key) for key, job, _ in jobs])
    return [
        _fix(expected[job.account, category_of(job, log)], job, at_ms)
        for (_, job, log), at_ms in zip(jobs, late_ms, strict=True)
    ]


def _fix(expected: Expected, job: Job, late_ms: int | None) -> Expected:
    """Return what is expected of a job, late at the time that was written for its run."""
    if late_ms is None:
        return expected
    late_s = max(late_ms - job.run_ms, 0) / 1000
    return replace(expected, late_s=late_s, typical_s=min(expected.typical_s, late_s))
