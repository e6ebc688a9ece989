"""A group's turn: which members have ended since the last one, and what follows from that. No I/O."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.event import Fact
from bridge.domain.events.filters import matches
from bridge.domain.jobs.callbacks import callbacks_by_id
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.fanout import fan_out
from bridge.domain.jobs.intervals import TAIL_INTERVAL_S, TimeScale
from bridge.domain.jobs.next_poll import expire, is_done
from bridge.domain.jobs.outcome import EventDraft, Notification, PollContext, Transition
from bridge.domain.jobs.poll_history import record_observed
from bridge.domain.jobs.records import Job, JobState, Member, PollLog
from bridge.domain.jobs.watches import find_member_watch, name_group
from bridge.domain.observation import Observation, Timing
from bridge.domain.subscriptions.callback import Callback, CallbackState

ENDED = "ended"
LOST = "lost"  # a member whose record or watch is gone, so that its end will never be seen
TIMED_OUT = "timed_out"
TIMING = Timing(
    interval_s=TAIL_INTERVAL_S, timeout_s=0.0
)  # a safety net: members put their group into the queue


class PassedOn(Struct, frozen=True, kw_only=True):
    """A member's event that goes to the callbacks of its group.

    `is_usual`: those without a filter hear it. `late`: it is an ending that comes after the group has closed, and goes to the
    callbacks that take such endings; any other goes to the live ones.
    """

    event: str
    type: str
    is_usual: bool = True
    late: bool = False


def count_ended(job: Job) -> int:
    """Return how many members of a group have ended."""
    return sum(1 for each in job.members if each.ending)


def may_change(member: Member) -> bool:
    """Return whether a member's record may show more of it than its group knows."""
    return not member.ending or member.ending == TIMED_OUT


def read_members(job: Job, jobs: Mapping[tuple[str, str], Job]) -> tuple[Member, ...]:
    """Return a group's members as their records show them now; `jobs` are those records by kind and id."""
    name = name_group(job.kind, job.id)
    return tuple(
        _read_member(each, jobs.get((each.kind, each.id)), name) if may_change(each) else each
        for each in job.members
    )


def _read_member(member: Member, job: Job | None, group: str) -> Member:
    watch = find_member_watch(job, group) if job else None
    if watch is None or watch.state is CallbackState.CANCELLED:
        return member if member.ending else replace(member, ending=LOST)
    if not watch.closed_by or watch.closed_by == member.event:
        return member
    timed_out = watch.state is CallbackState.TIMED_OUT
    return replace(member, ending=TIMED_OUT if timed_out else ENDED, event=watch.closed_by)


def list_late(before: Sequence[Member], after: Sequence[Member]) -> list[Member]:
    """Return the members whose end was seen after they had timed out."""
    return [
        new
        for old, new in zip(before, after, strict=True)
        if old.ending == TIMED_OUT and new.event != old.event
    ]


def advance_group(
    job: Job,
    log: PollLog,
    *,
    members: tuple[Member, ...],
    fact: Fact | None,
    passed: Sequence[PassedOn],
    key: str,
    at: PollContext,
    scale: TimeScale,
    delay_ms: int | None = None,
) -> Transition:
    """Return a group's transition; `fact` is its closing, None where it has closed before or goes on.

    `delay_ms` is when to look again at the latest, where that is sooner than usual.
    """
    told = [each for event in passed for each in _pass_on(job, event)]
    job = replace(job, members=members, seen=True)
    status = f"{count_ended(job)} of {len(members)} {ENDED}"
    drafts: tuple[EventDraft, ...] = ()
    if fact is not None:
        job = replace(job, state=JobState.ENDED, ending=ENDED)
        drafts = (EventDraft(name=ENDED, type=event_type(job.kind, ENDED), fact=fact, closes=True),)
    fanout = fan_out(replace(job, status=status), key, drafts, now_ms=at.now_ms)
    job = expire(fanout.job, now_ms=at.now_ms)
    usual_ms = scale.ms(TAIL_INTERVAL_S) if delay_ms is None else delay_ms
    delay = None if is_done(job, now_ms=at.now_ms) else usual_ms
    seen = Observation(status=status, ending=None, data={}, timing=TIMING)
    log = record_observed(log, seen, at, due_ms=0 if delay is None else at.now_ms + delay)
    return Transition(
        job=job,
        log=log,
        new_events=fanout.new_events,
        notifications=(*told, *fanout.notifications),
        delay_ms=delay,
    )


def _pass_on(job: Job, passed: PassedOn) -> list[Notification]:
    takes = _takes_late if passed.late else is_live
    return [
        Notification(event=passed.event, type=passed.type, callback=each.id, closes=False, late=passed.late)
        for each in callbacks_by_id(job).values()
        if takes(each) and matches(each.events, passed.type, ending=passed.is_usual)
    ]


def _takes_late(callback: Callback) -> bool:
    return callback.state is CallbackState.ENDED and callback.late
