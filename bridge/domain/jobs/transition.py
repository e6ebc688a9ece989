"""The state machine of a job: what the result of a poll means for it.

`advance` takes a job's records as they were loaded and the result of one poll. It returns the new records, the events
to write, the callbacks to notify, and when to poll again. It does no I/O.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.jobs import not_found, timeouts
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
from bridge.domain.subscriptions.callback import Callback


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
    """Return a job's transition by the result of one poll; `key` is the job's key."""
    before = job.state
    log = record_poll(log, result, at)
    step = _apply(job, log, result, at=at, traits=traits, scale=scale)
    fanout = fan_out(step.job, key, step.drafts, now_ms=at.now_ms)
    late = notify_late_callbacks(fanout.job, now_ms=at.now_ms) if step.confirms else Fanout(job=fanout.job)
    due = timeouts.list_due_timeouts(late.job, log, result, at=at, traits=traits, scale=scale)
    timed_out = fan_out(late.job, key, due, now_ms=at.now_ms)
    job = timeouts.start_slow_tail(expire(timed_out.job, now_ms=at.now_ms), at=at, timed_out=bool(due))
    assert job.state is before or job.state in TRANSITIONS[before], f"no way from {before} to {job.state}"
    delay = plan_next_poll(job, log, result, at=at, traits=traits, scale=scale)
    return Transition(
        job=job,
        log=replace(log, due_ms=0 if delay is None else at.now_ms + delay),
        new_events=(*fanout.new_events, *timed_out.new_events),
        notifications=(*fanout.notifications, *late.notifications, *timed_out.notifications),
        delay_ms=delay,
        data=step.data,
        replaced=step.replaced,
    )


def quiet_until_ms(job: Job, log: PollLog, *, traits: KindTraits, scale: TimeScale) -> int:
    """Return the time until which an observation that has just changed nothing would change nothing again.

    That is the first deadline or expiry of a callback; 0 if more than time and a different answer can change the job.
    """
    live = [each for each in job.callbacks if is_live(each)]
    waiting = job.state is JobState.WATCHING and job.clock_ms > 0 and not job.awaited
    if not waiting or not all(_is_quiet(job, each) for each in live):
        return 0
    timeout_s = log.timeout_s or traits.timing.timeout_s
    deadlines = [deadline_ms(job, each, timeout_s=timeout_s, scale=scale) for each in live]
    return min((*deadlines, *(each.expires_ms for each in live if not each.once)), default=0)


def _is_quiet(job: Job, callback: Callback) -> bool:
    return is_decided(callback) and has_deadline_ahead(job, callback) and not callback.owed_parts


def replace_item(
    job: Job, log: PollLog, *, key: str, at: PollContext, related: Mapping[str, str], scale: TimeScale
) -> Transition | None:
    """Return the transition of a watched item that a new run of its post replaced.

    None if nobody watches the item, or if it had been deleted, replaced or not found before.
    """
    if job.ending in GONE or not job.callbacks:
        return None
    step = not_found.end_job_as(job, "replaced", related=related)
    fanout = fan_out(step.job, key, step.drafts, now_ms=at.now_ms)
    delay = None if is_done(fanout.job, now_ms=at.now_ms) else scale.ms(TAIL_INTERVAL_S)
    return Transition(
        job=fanout.job,
        log=log,
        new_events=fanout.new_events,
        notifications=fanout.notifications,
        delay_ms=delay,
    )


def _apply(
    job: Job, log: PollLog, result: PollResult, *, at: PollContext, traits: KindTraits, scale: TimeScale
) -> Step:
    match result:
        case Observed(observation=observation):
            due = timeouts.has_overdue_callback(job, log, now_ms=at.begun_ms, traits=traits, scale=scale)
            return apply_observed(job, observation, at=at, traits=traits, overdue=due)
        case JobNotFound():
            return not_found.apply_not_found(job, at=at, scale=scale)
        case KeyRefused() | KindForbidden() if at.auth_refused:
            return _apply_refusal(job, at.auth_refused)
        case _:
            return Step(job=job)


def _apply_refusal(job: Job, auth_refused: str) -> Step:
    """Apply a confirmed refusal of the account's key, of which each callback is notified once."""
    new = [each.id for each in job.callbacks if is_live(each) and each.auth_refused != auth_refused]
    if job.auth_refused == auth_refused and not new:
        return Step(job=job)
    draft = draft_unauthorized(job, auth_refused, only=new)
    callbacks = tuple(
        replace(each, auth_refused=auth_refused) if each.id in new else each for each in job.callbacks
    )
    return Step(job=replace(job, auth_refused=auth_refused, callbacks=callbacks), drafts=(draft,))
