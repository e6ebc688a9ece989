"""What a reading means for a job: the state machine, pure.

`advance` takes a job as it was loaded and one reading, and gives the job as it is now, the events to tell, to whom,
and when to read again. It sends nothing and stores nothing.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.jobs import not_found as absence
from bridge.domain.jobs import timeouts as overdue
from bridge.domain.jobs.deadlines import deadline_ms, has_deadline_ahead, is_live
from bridge.domain.jobs.facts import draft_unauthorized
from bridge.domain.jobs.fanout import Fanout, fan_out, notify_late_callbacks
from bridge.domain.jobs.intervals import TAIL_INTERVAL_S, TimeScale
from bridge.domain.jobs.next_poll import expire, is_done, plan_next_poll
from bridge.domain.jobs.observed import apply_observed
from bridge.domain.jobs.outcome import KindTraits, PollContext, Step, Transition
from bridge.domain.jobs.poll_history import record_poll
from bridge.domain.jobs.records import TRANSITIONS, Job, JobState, PollLog
from bridge.domain.jobs.runs import GONE, is_decided
from bridge.domain.observation import JobNotFound, KeyRefused, KindForbidden, Observed, PollResult


def advance(
    job: Job,
    log: PollLog,
    result: PollResult,
    *,
    key: str,
    at: PollContext,
    traits: KindTraits,
    scale: TimeScale,
) -> Transition:
    """Move a job on by one reading. `key` is the job's key; times in `at` are the store's."""
    before = job.state
    log = record_poll(log, result, at)
    step = _read(job, result, at=at, traits=traits, scale=scale)
    emitted = fan_out(step.job, key, step.drafts, now_ms=at.now_ms)
    late = notify_late_callbacks(emitted.job, now_ms=at.now_ms) if step.confirms else Fanout(job=emitted.job)
    due = overdue.list_due_timeouts(late.job, log, result, at=at, traits=traits, scale=scale)
    timed_out = fan_out(late.job, key, due, now_ms=at.now_ms)
    job = overdue.start_slow_tail(expire(timed_out.job, now_ms=at.now_ms), at=at, emitted=bool(due))
    assert job.state is before or job.state in TRANSITIONS[before], f"no way from {before} to {job.state}"
    delay = plan_next_poll(job, log, result, at=at, traits=traits, scale=scale)
    return Transition(
        job=job,
        log=replace(log, due_ms=0 if delay is None else at.now_ms + delay),
        new_events=(*emitted.new_events, *timed_out.new_events),
        notifications=(*emitted.notifications, *late.notifications, *timed_out.notifications),
        delay_ms=delay,
        data=step.data,
        replaced=step.replaced,
    )


def quiet_until_ms(job: Job, log: PollLog, *, traits: KindTraits, scale: TimeScale) -> int:
    """Give until when a reading that just changed nothing, shown again, would change nothing again.

    That is the first deadline or expiry, as long as nothing but time and another answer can move the job; else 0.
    """
    live = [each for each in job.callbacks if is_live(each)]
    waiting = job.state is JobState.WATCHING and job.clock_ms > 0 and not job.awaited
    if not waiting or not all(is_decided(each) and has_deadline_ahead(job, each) for each in live):
        return 0
    timeout_s = log.timeout_s or traits.timing.timeout_s
    deadlines = [deadline_ms(job, each, timeout_s=timeout_s, scale=scale) for each in live]
    return min((*deadlines, *(each.expires_ms for each in live if not each.once)), default=0)


def replace_item(
    job: Job, log: PollLog, *, key: str, at: PollContext, related: Mapping[str, str], scale: TimeScale
) -> Transition | None:
    """End a watched item that a new run of its post replaced; None when nobody watches it or it had ended as gone."""
    if job.ending in GONE or not job.callbacks:
        return None
    step = absence.end_job_as(job, "replaced", related=related)
    emitted = fan_out(step.job, key, step.drafts, now_ms=at.now_ms)
    delay = None if is_done(emitted.job, now_ms=at.now_ms) else scale.ms(TAIL_INTERVAL_S)
    return Transition(
        job=emitted.job,
        log=log,
        new_events=emitted.new_events,
        notifications=emitted.notifications,
        delay_ms=delay,
    )


def _read(job: Job, result: PollResult, *, at: PollContext, traits: KindTraits, scale: TimeScale) -> Step:
    match result:
        case Observed(observation=observation):
            return apply_observed(job, observation, at=at, traits=traits)
        case JobNotFound():
            return absence.apply_not_found(job, at=at, scale=scale)
        case KeyRefused() | KindForbidden() if at.auth_refused:
            return _refuse(job, at.auth_refused)
        case _:
            return Step(job=job)


def _refuse(job: Job, auth_refused: str) -> Step:
    """Tell of a confirmed refusal, once an outage and callback."""
    new = [each.id for each in job.callbacks if is_live(each) and each.auth_refused != auth_refused]
    if job.auth_refused == auth_refused and not new:
        return Step(job=job)
    drafts = draft_unauthorized(job, auth_refused, only=new)
    callbacks = tuple(
        replace(each, auth_refused=auth_refused) if each.id in new else each for each in job.callbacks
    )
    return Step(job=replace(job, auth_refused=auth_refused, callbacks=callbacks), drafts=(drafts,))
