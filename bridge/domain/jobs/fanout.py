"""Decide which callbacks are notified of which events, and which callbacks close.

A callback with `once` closes with its first ending event, even if its filter keeps that event from being sent. After
`.timed_out` the real ending still follows, unless the callback was registered with `late: false`. Others get all events that
match their filter, and the ends of parts that were told before they were registered. No callback is notified twice of a fact.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.filters import matches
from bridge.domain.ids import event_id
from bridge.domain.jobs.callbacks import change_callbacks
from bridge.domain.jobs.deadlines import is_live, takes_late_ending
from bridge.domain.jobs.emitted import add_emitted, identify, list_emitted
from bridge.domain.jobs.outcome import EventDraft, NewEvent, Notification
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import GONE, is_decided
from bridge.domain.subscriptions.callback import Callback, CallbackState


class Fanout(Struct, frozen=True, kw_only=True, gc=False):
    """The job after a fan-out, the events to write, and the notifications to deliver."""

    job: Job
    new_events: tuple[NewEvent, ...] = ()
    notifications: tuple[Notification, ...] = ()


def fan_out(job: Job, key: str, drafts: Sequence[EventDraft], *, now_ms: int) -> Fanout:
    """Turn drafts into events and notifications; a fact that has its event already gets no second one."""
    if not drafts:
        return Fanout(job=job)
    new_events: list[NewEvent] = []
    notifications: list[Notification] = []
    known = list_emitted(job.emitted)
    newcomers = frozenset(each.id for each in job.callbacks if each.owed_parts)
    for draft in drafts:
        run = known.get(identify(draft.fact.run, draft.name), draft.fact.run)
        identity = identify(run, draft.name)
        first = identity not in known
        if draft.of_part and newcomers and not first:
            draft = replace(draft, only=newcomers)  # noqa: PLW2901  # what the others heard before they came
        if not (first or draft.closes or draft.only is not None):
            continue  # as at nearly every poll: all callbacks were notified before
        event = event_id(project=job.project, key=key, born_ms=job.born_ms, run=run, fact=draft.name)
        if first:
            known[identity] = run
            job = replace(
                job, emitted=add_emitted(job.emitted, run=run, name=draft.name), sequence=job.sequence + 1
            )
            new_events.append(NewEvent(event=event, sequence=job.sequence, draft=draft))
        if draft.closes and job.state is JobState.ENDED and draft.fact.word == job.ending:
            job = replace(job, ending_event=event)  # for callbacks that are registered later
        if first or draft.only is not None:
            job = _notify(job, event, draft, notifications, now_ms)
    if newcomers and any(draft.of_part for draft in drafts):
        job = change_callbacks(job, lambda each: replace(each, owed_parts=False))
    return Fanout(job=job, new_events=tuple(new_events), notifications=tuple(notifications))


def notify_late_callbacks(job: Job, *, now_ms: int) -> Fanout:
    """Notify callbacks that were registered after the ending; call this once a poll has confirmed the ending."""
    if job.state is not JobState.ENDED or not job.ending_event:
        return Fanout(job=job)
    if not any(_missed(job, callback) for callback in job.callbacks):
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
        callbacks.append(_mark_notified(callback, job.run, job.ending, job.ending_event, now_ms))
    return Fanout(job=replace(job, callbacks=tuple(callbacks)), notifications=tuple(notifications))


def _missed(job: Job, callback: Callback) -> bool:
    if not is_live(callback) or callback.notified_run >= job.run:
        return False
    return job.ending in GONE or (is_decided(callback) and callback.from_run <= job.run)


def _notify(job: Job, event: str, draft: EventDraft, notifications: list[Notification], now_ms: int) -> Job:
    """Append the notifications of an event, and return the job with its callbacks marked as notified."""
    callbacks: list[Callback] = []
    for callback in job.callbacks:
        if not _takes(callback, draft, now_ms) or not _concerns(callback, draft):
            callbacks.append(callback)
            continue
        if matches(callback.events, draft.type, ending=draft.ends) and (draft.closes or not callback.once):
            notifications.append(
                Notification(
                    event=event,
                    type=draft.type,
                    callback=callback.id,
                    closes=draft.closes,
                    late=draft.ends and _was_timed_out(callback, draft.fact.run),
                )
            )
        callbacks.append(
            _mark_notified(callback, draft.fact.run, draft.fact.word, event, now_ms)
            if draft.closes
            else callback
        )
    return replace(job, callbacks=tuple(callbacks))


def _takes(callback: Callback, draft: EventDraft, now_ms: int) -> bool:
    return is_live(callback) or (draft.closes and takes_late_ending(callback, now_ms=now_ms))


def _was_timed_out(callback: Callback, run: int) -> bool:
    return callback.state is CallbackState.TIMED_OUT or callback.timed_out_run >= run


def _concerns(callback: Callback, draft: EventDraft) -> bool:
    if draft.only is not None:
        return callback.id in draft.only
    if not draft.closes or draft.fact.word in GONE:  # what does not exist any more has no later run
        return True
    return is_decided(callback) and draft.fact.run >= callback.from_run


def _mark_notified(callback: Callback, run: int, word: str, event: str, now_ms: int) -> Callback:
    timed_out = word == "timed_out"
    settled = max(run, callback.from_run)
    notified = replace(
        callback,
        timed_out_run=max(run, callback.timed_out_run) if timed_out else callback.timed_out_run,
        notified_run=callback.notified_run if timed_out else max(settled, callback.notified_run),
        closed_by=event if callback.group else "",
    )
    if not callback.once:
        return notified
    state = CallbackState.TIMED_OUT if timed_out else CallbackState.ENDED
    return replace(notified, state=state, closed_ms=now_ms)
