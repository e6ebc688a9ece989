"""Who hears what: from news to letters, and which callbacks close.

A callback with `once` closes with its first ending event, whatever it is; its own filter may keep the letter from
being sent, never the callback from closing. Only `.timed_out` is not its last word: the real ending follows, unless
it was registered with `late: false`. Others get everything that matches. Nobody hears a fact twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.filters import matches
from bridge.domain.ids import event_id
from bridge.domain.jobs.deadlines import is_live, takes_late_ending
from bridge.domain.jobs.emitted import add_emitted, identify, list_emitted
from bridge.domain.jobs.outcome import EventDraft, NewEvent, Notification
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import GONE, is_decided
from bridge.domain.subscriptions.callback import Callback, CallbackState


@dataclass(frozen=True, slots=True, kw_only=True)
class Fanout:
    """The job after its news were told: the events to write, and the letters that carry them."""

    job: Job
    new_events: tuple[NewEvent, ...] = ()
    notifications: tuple[Notification, ...] = ()


def fan_out(job: Job, key: str, drafts: Sequence[EventDraft], *, now_ms: int) -> Fanout:
    """Give each news its event id, new ones their place in the sequence, and write the letters."""
    if not drafts:
        return Fanout(job=job)
    new_events: list[NewEvent] = []
    notifications: list[Notification] = []
    known = list_emitted(job.emitted)
    for item in drafts:
        run = item.fact.run
        first = identify(run, item.name) not in known
        if not (first or item.closes or item.only is not None):
            continue  # nearly every read says again what all have heard
        event = event_id(project=job.project, key=key, born_ms=job.born_ms, run=run, fact=item.name)
        if first:
            known.add(identify(run, item.name))
            job = replace(
                job, emitted=add_emitted(job.emitted, run=run, name=item.name), sequence=job.sequence + 1
            )
            new_events.append(NewEvent(event=event, sequence=job.sequence, drafts=item))
        if item.closes and job.state is JobState.ENDED and item.fact.word == job.ending:
            job = replace(job, ending_event=event)  # for callbacks that come later
        if first or item.only is not None:
            job = _address(job, event, item, notifications, now_ms)
    return Fanout(job=job, new_events=tuple(new_events), notifications=tuple(notifications))


def notify_late_callbacks(job: Job, *, now_ms: int) -> Fanout:
    """Tell the callbacks that came after the ending, once a read has shown that the ending still stands."""
    if job.state is not JobState.ENDED or not job.ending_event:
        return Fanout(job=job)
    kind = event_type(job.kind, job.ending)
    notifications: list[Notification] = []
    callbacks: list[Callback] = []
    for callback in job.callbacks:
        if not _missed(job, callback):
            callbacks.append(callback)
            continue
        if matches(callback.events, kind, ending=True):
            notifications.append(
                Notification(event=job.ending_event, type=kind, callback=callback.id, closes=True)
            )
        callbacks.append(_mark_notified(callback, job.run, job.ending, now_ms))
    return Fanout(job=replace(job, callbacks=tuple(callbacks)), notifications=tuple(notifications))


def _missed(job: Job, callback: Callback) -> bool:
    if not is_live(callback) or callback.notified_run >= job.run:
        return False
    return job.ending in GONE or (is_decided(callback) and callback.from_run <= job.run)


def _address(job: Job, event: str, drafts: EventDraft, notifications: list[Notification], now_ms: int) -> Job:
    callbacks: list[Callback] = []
    for callback in job.callbacks:
        if not _takes(callback, drafts, now_ms) or not _concerns(callback, drafts):
            callbacks.append(callback)
            continue
        if matches(callback.events, drafts.type, ending=drafts.ends) and (drafts.closes or not callback.once):
            notifications.append(
                Notification(
                    event=event,
                    type=drafts.type,
                    callback=callback.id,
                    closes=drafts.closes,
                    late=drafts.ends and _heard_timeout(callback, drafts.fact.run),
                )
            )
        emitted = (
            _mark_notified(callback, drafts.fact.run, drafts.fact.word, now_ms) if drafts.closes else callback
        )
        callbacks.append(emitted)
    return replace(job, callbacks=tuple(callbacks))


def _takes(callback: Callback, drafts: EventDraft, now_ms: int) -> bool:
    return is_live(callback) or (drafts.closes and takes_late_ending(callback, now_ms=now_ms))


def _heard_timeout(callback: Callback, run: int) -> bool:
    return callback.state is CallbackState.TIMED_OUT or callback.timed_out_run >= run


def _concerns(callback: Callback, drafts: EventDraft) -> bool:
    if drafts.only is not None:
        return callback.id in drafts.only
    if not drafts.closes or drafts.fact.word in GONE:  # of what is gone no other run will come
        return True
    return is_decided(callback) and drafts.fact.run >= callback.from_run


def _mark_notified(callback: Callback, run: int, word: str, now_ms: int) -> Callback:
    timed_out = word == "timed_out"
    settled = max(run, callback.from_run)
    emitted = replace(
        callback,
        timed_out_run=max(run, callback.timed_out_run) if timed_out else callback.timed_out_run,
        notified_run=callback.notified_run if timed_out else max(settled, callback.notified_run),
    )
    if not callback.once:
        return emitted
    state = CallbackState.TIMED_OUT if timed_out else CallbackState.ENDED
    return replace(emitted, state=state, closed_ms=now_ms)
