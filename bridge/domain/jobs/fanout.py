"""Who hears what: from news to letters, and which callbacks close.

A callback with `once` closes with its first ending event, whatever it is; its own filter may keep the letter from
being sent, never the callback from closing. Others get everything that matches. Nobody hears a fact twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.filters import matches
from bridge.domain.ids import event_id
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.emitted import add_told, identify, list_told
from bridge.domain.jobs.outcome import Fresh, Letter, News
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import GONE, is_decided
from bridge.domain.subscriptions.callback import Callback, CallbackState


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """The job after its news were told: the events to write, and the letters that carry them."""

    job: Job
    fresh: tuple[Fresh, ...] = ()
    letters: tuple[Letter, ...] = ()


def tell(job: Job, key: str, news: Sequence[News], *, now_ms: int) -> Telling:
    """Give each news its event id, new ones their place in the sequence, and write the letters."""
    if not news:
        return Telling(job=job)
    fresh: list[Fresh] = []
    letters: list[Letter] = []
    known = list_told(job.told)
    for item in news:
        run = item.fact.run
        first = identify(run, item.name) not in known
        if not (first or item.closes or item.only is not None):
            continue  # nearly every read says again what all have heard
        event = event_id(project=job.project, key=key, born_ms=job.born_ms, run=run, fact=item.name)
        if first:
            known.add(identify(run, item.name))
            job = replace(job, told=add_told(job.told, run=run, name=item.name), sequence=job.sequence + 1)
            fresh.append(Fresh(event=event, sequence=job.sequence, news=item))
        if item.closes and job.state is JobState.ENDED and item.fact.word == job.ending:
            job = replace(job, ending_event=event)  # for callbacks that come later
        if first or item.only is not None:
            job = _address(job, event, item, letters, now_ms)
    return Telling(job=job, fresh=tuple(fresh), letters=tuple(letters))


def catch_up(job: Job, *, now_ms: int) -> Telling:
    """Tell the callbacks that came after the ending, once a read has shown that the ending still stands."""
    if job.state is not JobState.ENDED or not job.ending_event:
        return Telling(job=job)
    kind = event_type(job.kind, job.ending)
    letters: list[Letter] = []
    callbacks: list[Callback] = []
    for callback in job.callbacks:
        if not _missed(job, callback):
            callbacks.append(callback)
            continue
        if matches(callback.events, kind):
            letters.append(Letter(event=job.ending_event, type=kind, callback=callback.id, closes=True))
        callbacks.append(_told_ending(callback, job.run, job.ending, now_ms))
    return Telling(job=replace(job, callbacks=tuple(callbacks)), letters=tuple(letters))


def _missed(job: Job, callback: Callback) -> bool:
    if not is_live(callback) or callback.run_told >= job.run:
        return False
    return job.ending in GONE or (is_decided(callback) and callback.from_run <= job.run)


def _address(job: Job, event: str, news: News, letters: list[Letter], now_ms: int) -> Job:
    callbacks: list[Callback] = []
    for callback in job.callbacks:
        if not is_live(callback) or not _concerns(callback, news):
            callbacks.append(callback)
            continue
        if matches(callback.events, news.type) and (news.closes or not callback.once):
            letters.append(Letter(event=event, type=news.type, callback=callback.id, closes=news.closes))
        told = _told_ending(callback, news.fact.run, news.fact.word, now_ms) if news.closes else callback
        callbacks.append(told)
    return replace(job, callbacks=tuple(callbacks))


def _concerns(callback: Callback, news: News) -> bool:
    if news.only is not None:
        return callback.id in news.only
    if not news.closes or news.fact.word in GONE:  # of what is gone no other run will come
        return True
    return is_decided(callback) and news.fact.run >= callback.from_run


def _told_ending(callback: Callback, run: int, word: str, now_ms: int) -> Callback:
    timed_out = word == "timed_out"
    settled = max(run, callback.from_run)
    told = replace(
        callback,
        timed_out_run=max(run, callback.timed_out_run) if timed_out else callback.timed_out_run,
        run_told=callback.run_told if timed_out else max(settled, callback.run_told),
    )
    if not callback.once:
        return told
    state = CallbackState.TIMED_OUT if timed_out else CallbackState.ENDED
    return replace(told, state=state, closed_ms=now_ms)
