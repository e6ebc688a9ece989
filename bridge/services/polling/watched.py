"""The jobs that are watched, with what is expected of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.domain.jobs.records import Job, PollLog
from bridge.services.context import Services
from bridge.services.polling.duration_estimates import DurationEstimates, category_of
from bridge.services.queries import NO_LOG
from bridge.store.records import Wanted
from bridge.store.tables.accounts import Account

OWN_JOBS: Final = 30  # that an account must have shown before its own durations count as known


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Half of the jobs like this one end within `typical_s` seconds, nine in ten within `late_s`."""

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
    """Return the jobs of accounts that are polled next, in a few round trips however many are watched."""
    store = services.store
    lanes = [(store.shard_of(each.id), each.id) for each in accounts]
    rows = await store.upcoming.first(lanes, limit=limit)
    keys = [key for _, key, _ in rows]
    page = await store.load_many(Wanted(jobs=keys, logs=keys))
    found = {key: page.jobs[key].record for key in keys if key in page.jobs}
    logs = {key: page.logs[key].record if key in page.logs else NO_LOG for key in found}
    expected = await estimate_jobs(services, [(found[key], logs[key]) for key in found])
    by_key = dict(zip(found, expected, strict=True))
    return [
        WatchedJob(key=key, job=found[key], log=logs[key], due_ms=due_ms, expected=by_key[key])
        for _, key, due_ms in rows
        if key in found
    ]


async def estimate_jobs(services: Services, jobs: Sequence[tuple[Job, PollLog]]) -> list[Expected]:
    """Return what is expected of jobs, from what their accounts' jobs have shown, in one round trip."""
    scale = services.settings.poll_scale
    estimates = DurationEstimates(services.store.account_stats, scale=scale)
    stats = await services.store.account_stats.load({job.account: () for job, _ in jobs})
    for account, each in stats.items():
        await estimates.merge(account, each)
    expected: dict[tuple[str, str], Expected] = {}
    for job, log in jobs:
        category = category_of(job, log)
        if (job.account, category) not in expected:
            durations = estimates.durations(job.account, (category,))[category]
            table = stats[job.account].durations.get(category)
            expected[job.account, category] = Expected(
                typical_s=durations.quantile(0.5) * scale,
                late_s=durations.quantile(0.9) * scale,
                documented=table is None or table.entered[0] < OWN_JOBS,
            )
    return [expected[job.account, category_of(job, log)] for job, log in jobs]
