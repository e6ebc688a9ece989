"""What a reading means for a job: the state machine, pure.

`advance` takes a job as it was loaded and one reading, and gives the job as it is now, the events to tell, to whom,
and when to read again. It sends nothing and stores nothing.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.jobs import not_found as absence
from bridge.domain.jobs import timeouts as overdue
from bridge.domain.jobs.deadlines import deadline_ms, has_deadline_ahead, is_live
from bridge.domain.jobs.facts import say_unauthorized
from bridge.domain.jobs.fanout import Telling, catch_up, tell
from bridge.domain.jobs.intervals import TAIL_INTERVAL_S, Pace
from bridge.domain.jobs.next_poll import expire, is_done, plan_next
from bridge.domain.jobs.observed import see
from bridge.domain.jobs.outcome import Advance, Moment, Step, Traits
from bridge.domain.jobs.poll_history import mark_poll
from bridge.domain.jobs.records import TRANSITIONS, Job, JobState, PollLog
from bridge.domain.jobs.runs import GONE, is_decided
from bridge.domain.observation import Forbidden, Missing, Reading, Refused, Seen


def advance(
    job: Job, log: PollLog, reading: Reading, *, key: str, at: Moment, traits: Traits, pace: Pace
) -> Advance:
    """Move a job on by one reading. `key` is the job's key; times in `at` are the store's."""
    before = job.state
    log = mark_poll(log, reading, at)
    step = _read(job, reading, at=at, traits=traits, pace=pace)
    told = tell(step.job, key, step.news, now_ms=at.now_ms)
    late = catch_up(told.job, now_ms=at.now_ms) if step.confirms else Telling(job=told.job)
    due = overdue.list_overdue(late.job, log, reading, at=at, traits=traits, pace=pace)
    timed_out = tell(late.job, key, due, now_ms=at.now_ms)
    job = overdue.begin_tail(expire(timed_out.job, now_ms=at.now_ms), at=at, told=bool(due))
    assert job.state is before or job.state in TRANSITIONS[before], f"no way from {before} to {job.state}"
    delay = plan_next(job, log, reading, at=at, traits=traits, pace=pace)
    return Advance(
        job=job,
        log=replace(log, due_ms=0 if delay is None else at.now_ms + delay),
        fresh=(*told.fresh, *timed_out.fresh),
        letters=(*told.letters, *late.letters, *timed_out.letters),
        delay_ms=delay,
        data=step.data,
        replaced=step.replaced,
    )


def quiet_until_ms(job: Job, log: PollLog, *, traits: Traits, pace: Pace) -> int:
    """Give until when a reading that just changed nothing, shown again, would change nothing again.

    That is the first deadline or expiry, as long as nothing but time and another answer can move the job; else 0.
    """
    live = [each for each in job.callbacks if is_live(each)]
    waiting = job.state is JobState.WATCHING and job.clock_ms > 0 and not job.awaited
    if not waiting or not all(is_decided(each) and has_deadline_ahead(job, each) for each in live):
        return 0
    timeout_s = log.timeout_s or traits.timing.timeout_s
    deadlines = [deadline_ms(job, each, timeout_s=timeout_s, pace=pace) for each in live]
    return min((*deadlines, *(each.expires_ms for each in live if not each.once)), default=0)


def replace_item(
    job: Job, log: PollLog, *, key: str, at: Moment, related: Mapping[str, str], pace: Pace
) -> Advance | None:
    """End a watched item that a new run of its post replaced; None when it had ended as gone before."""
    if job.ending in GONE:
        return None
    step = absence.end_as(job, "replaced", related=related)
    told = tell(step.job, key, step.news, now_ms=at.now_ms)
    delay = None if is_done(told.job, now_ms=at.now_ms) else pace.ms(TAIL_INTERVAL_S)
    return Advance(job=told.job, log=log, fresh=told.fresh, letters=told.letters, delay_ms=delay)


def _read(job: Job, reading: Reading, *, at: Moment, traits: Traits, pace: Pace) -> Step:
    match reading:
        case Seen(observation=observation):
            return see(job, observation, at=at, traits=traits)
        case Missing():
            return absence.miss(job, at=at, pace=pace)
        case Refused() | Forbidden() if at.outage:
            return _refuse(job, at.outage)
        case _:
            return Step(job=job)


def _refuse(job: Job, outage: str) -> Step:
    """Tell of a confirmed refusal, once an outage and callback."""
    new = [each.id for each in job.callbacks if is_live(each) and each.outage != outage]
    if job.outage == outage and not new:
        return Step(job=job)
    news = say_unauthorized(job, outage, only=new)
    callbacks = tuple(replace(each, outage=outage) if each.id in new else each for each in job.callbacks)
    return Step(job=replace(job, outage=outage, callbacks=callbacks), news=(news,))
