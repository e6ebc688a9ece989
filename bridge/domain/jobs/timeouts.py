"""`.timed_out`: told to a callback after a read, begun past its deadline, that showed no ending."""

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
    """List the time-outs that a reading makes true, for callbacks that it did not tell of an ending."""
    if not _is_read(job, result, at):
        return ()
    timeout_s = log.timeout_s or traits.timing.timeout_s

    def due_ms(callback: Callback) -> tuple[int, str]:
        return deadline_ms(job, callback, timeout_s=timeout_s, scale=scale), callback.id

    late: dict[int, list[Callback]] = {}
    for callback in job.callbacks:
        if is_overdue(job, callback, begun_ms=at.begun_ms, timeout_s=timeout_s, scale=scale):
            late.setdefault(awaited_run(job, callback), []).append(callback)
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
    """Return whether a poll made now that shows no ending makes a `.timed_out` true."""
    timeout_s = log.timeout_s or traits.timing.timeout_s
    return any(
        is_overdue(job, callback, begun_ms=now_ms, timeout_s=timeout_s, scale=scale)
        for callback in job.callbacks
    )


def _is_read(job: Job, result: PollResult, at: PollContext) -> bool:
    """Say whether a reading may end a watch: a 429 is no read, a surprise is one only when it is confirmed."""
    match result:
        case Throttled():
            return False
        case KeyRefused() | KindForbidden():
            return bool(at.auth_refused)
        case JobNotFound():
            return not awaits_confirmation(job)
        case _:
            return True


def start_slow_tail(job: Job, *, at: PollContext, emitted: bool) -> Job:
    """Start the slow tail once no callback has a deadline ahead of it.

    `told` says that this reading made the last one pass. A job that stands ended has its tail too, when it was the
    next run that did not come.
    """
    if any(has_deadline_ahead(job, callback) for callback in job.callbacks):
        return job
    open_run = job.state in (JobState.WATCHING, JobState.MISSING) and not has_ended(job)
    waits = any(is_live(each) or awaits_late_ending(each, now_ms=at.now_ms) for each in job.callbacks)
    if emitted or (open_run and not job.tail_ms and waits):
        job = replace(job, tail_ms=at.now_ms + TAIL_LASTS_MS)
    if not open_run or job.tail_ms <= at.now_ms:
        return job
    return replace(job, state=JobState.TAIL, ending="timed_out")
