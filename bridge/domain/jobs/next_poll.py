"""Decide when to poll a job again, or that it is not polled any more."""

from msgspec.structs import replace

from bridge.domain.jobs.deadlines import awaits_late_ending, has_deadline_ahead, is_live
from bridge.domain.jobs.intervals import (
    CONFIRM_S,
    GRACE_S,
    IDLE_INTERVAL_S,
    OUTAGE_RETRY_S,
    TAIL_INTERVAL_S,
    TimeScale,
    backoff_s,
    interval_ms,
)
from bridge.domain.jobs.not_found import awaits_confirmation
from bridge.domain.jobs.outcome import KindTraits, PollContext
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observation,
    Observed,
    PollResult,
    Throttled,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.domain.subscriptions.callback import Callback, CallbackState


def expire(job: Job, *, now_ms: int) -> Job:
    """Close callbacks without `once` whose `expires_at` has come; they have had their events."""
    if not any(_has_expired(callback, now_ms) for callback in job.callbacks):
        return job
    return replace(
        job,
        callbacks=tuple(
            replace(callback, state=CallbackState.ENDED, closed_ms=now_ms)
            if _has_expired(callback, now_ms)
            else callback
            for callback in job.callbacks
        ),
    )


def is_done(job: Job, *, now_ms: int) -> bool:
    """Return whether a job need not be polled any more: no callback waits for an event, and no slow tail is left."""
    if any(is_live(each) or awaits_late_ending(each, now_ms=now_ms) for each in job.callbacks):
        return False
    timed_out = any(each.state is CallbackState.TIMED_OUT for each in job.callbacks)
    return not timed_out or now_ms >= job.tail_ms


def plan_next_poll(
    job: Job, log: PollLog, result: PollResult, *, at: PollContext, traits: KindTraits, scale: TimeScale
) -> int | None:
    """Return the delay to the next poll in milliseconds, None if there is none."""
    if is_done(job, now_ms=at.now_ms):
        return None
    normal = interval_ms(log, scale, fallback_s=traits.timing.interval_s)
    match result:
        case Throttled(until_ms=until):
            return max(until - at.now_ms, 1000)
        case KeyRefused() | KindForbidden():
            return scale.ms(OUTAGE_RETRY_S if at.auth_refused else CONFIRM_S)
        case JobNotFound() if awaits_confirmation(job):
            return min(normal, scale.ms(CONFIRM_S))
        case _ if is_slow(job):
            return scale.ms(TAIL_INTERVAL_S)
        case UpstreamBusy(wait_s=wait_s):
            return max(scale.ms(wait_s), normal)
        case UpstreamBroken():
            return scale.ms(backoff_s(log.streak))
        case JobNotFound():
            return normal if job.seen else _within_grace(job, normal, at=at, scale=scale)
        case Observed(observation=observation) if observation.idle or observation.settled:
            return _while_idle(observation, normal, at=at, scale=scale)
        case _:
            return normal


def is_slow(job: Job) -> bool:
    """Return whether a job has timed out or ended, and all callbacks were notified: only late events can follow."""
    waits = any(has_deadline_ahead(job, callback) for callback in job.callbacks)
    return job.state in (JobState.TAIL, JobState.ENDED) and not waits


def _has_expired(callback: Callback, now_ms: int) -> bool:
    return is_live(callback) and not callback.once and now_ms >= callback.expires_ms


def _within_grace(job: Job, normal: int, *, at: PollContext, scale: TimeScale) -> int:
    """Return the delay for an id that was never seen: its interval, but not beyond the end of its grace."""
    left = job.missing_ms + scale.ms(GRACE_S) - at.now_ms
    return min(normal, left) if left > 0 else min(normal, scale.ms(CONFIRM_S))


def _while_idle(observation: Observation, normal: int, *, at: PollContext, scale: TimeScale) -> int:
    """Return the delay for a draft, a minute, or for a scheduled post, which is also read at its time."""
    idle = scale.ms(IDLE_INTERVAL_S)
    if observation.scheduled_for_ms is None or observation.scheduled_for_ms <= at.now_ms:
        return idle
    return max(min(idle, observation.scheduled_for_ms - at.now_ms), normal)
