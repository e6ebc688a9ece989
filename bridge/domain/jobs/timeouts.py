"""`.timed_out`: sent to a callback after a read that began past its deadline and showed no ending."""

from msgspec.structs import replace

from bridge.domain.jobs.deadlines import (
    TAIL_LASTS_MS,
    awaited_run,
    awaits_late_ending,
    deadline_ms,
    has_deadline_ahead,
    is_live,
    is_overdue,
)
from bridge.domain.jobs.facts import draft_timed_out
from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.jobs.not_found import awaits_confirmation
from bridge.domain.jobs.outcome import EventDraft, KindTraits, PollContext
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.jobs.runs import has_ended
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observed,
    PollResult,
    Throttled,
)
from bridge.domain.subscriptions.callback import Callback


def list_due_timeouts(
    job: Job, log: PollLog, result: PollResult, *, at: PollContext, traits: KindTraits, scale: TimeScale
) -> tuple[EventDraft, ...]:
    """Return the drafts of the `.timed_out` events that a poll leads to, by the runs of the callbacks concerned."""
    if not _is_conclusive(job, result, at):
        return ()
    timeout_s = log.timeout_s or traits.timing.timeout_s
    late: dict[int, list[Callback]] = {}
    for callback in job.callbacks:
        if is_overdue(job, callback, begun_ms=at.begun_ms, timeout_s=timeout_s, scale=scale):
            late.setdefault(awaited_run(job, callback), []).append(callback)
    if not late:
        return ()

    def due_ms(callback: Callback) -> tuple[int, str]:
        return deadline_ms(job, callback, timeout_s=timeout_s, scale=scale), callback.id

    return tuple(
        draft_timed_out(
            job,
            result.observation if isinstance(result, Observed) else None,
            run=run,
            refused=isinstance(result, KeyRefused | KindForbidden),
            only=[each.id for each in sorted(callbacks, key=due_ms)],
        )
        for run, callbacks in late.items()
    )


def has_overdue_callback(
    job: Job, log: PollLog, *, now_ms: int, traits: KindTraits, scale: TimeScale
) -> bool:
    """Return whether a poll made now that shows no ending leads to a `.timed_out`."""
    timeout_s = log.timeout_s or traits.timing.timeout_s
    return any(
        is_overdue(job, callback, begun_ms=now_ms, timeout_s=timeout_s, scale=scale)
        for callback in job.callbacks
    )


def _is_conclusive(job: Job, result: PollResult, at: PollContext) -> bool:
    """Return whether a poll may lead to a time-out: not a 429, nor a 401, 403 or 404 that is not confirmed yet."""
    match result:
        case Observed():
            return True
        case Throttled():
            return False
        case KeyRefused() | KindForbidden():
            return bool(at.auth_refused)
        case JobNotFound():
            return not awaits_confirmation(job)
        case _:
            return True


def start_slow_tail(job: Job, *, at: PollContext, timed_out: bool) -> Job:
    """Return the job with its slow tail started, if no callback has a deadline ahead of it.

    `timed_out`: this poll led to a `.timed_out`. An ended job gets a tail, too, if the next run did not come in time.
    """
    if any(has_deadline_ahead(job, callback) for callback in job.callbacks):
        return job
    open_run = job.state in (JobState.WATCHING, JobState.MISSING) and not has_ended(job)
    waits = any(is_live(each) or awaits_late_ending(each, now_ms=at.now_ms) for each in job.callbacks)
    if timed_out or (open_run and not job.tail_ms and waits):
        job = replace(job, tail_ms=at.now_ms + TAIL_LASTS_MS)
    if not open_run or job.tail_ms <= at.now_ms:
        return job
    return replace(job, state=JobState.TAIL, ending="timed_out")
