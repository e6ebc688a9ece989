"""Who hears what: from news to letters, and which callbacks close.

A callback with `once` closes with its first ending event, whatever it is; its own filter may keep the letter from
being sent, never the callback from closing. Others get everything that matches.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from bridge.domain.deadlines import is_live
from bridge.domain.event_types import event_type
from bridge.domain.filters import matches
from bridge.domain.ids import event_id
from bridge.domain.job import Callback, CallbackState, Job, JobState
from bridge.domain.news import Fresh, Letter, News


def number_news(
    job: Job, key: str, news: Iterable[News]
) -> tuple[Job, tuple[Fresh, ...], tuple[tuple[str, News], ...]]:
    """Give each news its event id, and the next sequence number where it is told for the first time."""
    fresh: list[Fresh] = []
    named: list[tuple[str, News]] = []
    told = list(job.told)
    sequence = job.sequence
    for item in news:
        identifier = event_id(
            project=job.project, key=key, born_ms=job.born_ms, run=item.fact.run, fact=item.name
        )
        named.append((identifier, item))
        mark = f"{item.fact.run}:{item.name}"
        if mark not in told:
            told.append(mark)
            sequence += 1
            fresh.append(Fresh(event=identifier, sequence=sequence, news=item))
    return replace(job, told=tuple(told), sequence=sequence), tuple(fresh), tuple(named)


def address(
    job: Job, named: Sequence[tuple[str, News]], *, now_ms: int, confirmed: bool
) -> tuple[Job, tuple[Letter, ...]]:
    """Write the letters and close the callbacks that have had their last one.

    `confirmed` says that the reading showed the job's state itself: only then an ending that was told before
    may be told to a callback that came after it.
    """
    letters: list[Letter] = []
    callbacks = []
    for callback in job.callbacks:
        told = _address_one(callback, named, letters, now_ms)
        callbacks.append(_catch_up(job, told, letters, now_ms) if confirmed else told)
    return replace(job, callbacks=tuple(callbacks)), tuple(letters)


def _address_one(
    callback: Callback, named: Sequence[tuple[str, News]], letters: list[Letter], now_ms: int
) -> Callback:
    for identifier, news in named:
        if not is_live(callback) or not _concerns(callback, news):
            continue
        if matches(callback.events, news.type) and (news.closes or not callback.once):
            letters.append(Letter(event=identifier, type=news.type, callback=callback.id, closes=news.closes))
        if news.closes:
            callback = _told_ending(callback, news.fact.run, news.fact.word, now_ms)  # folded over the news
    return callback


def _concerns(callback: Callback, news: News) -> bool:
    if news.only is not None and callback.id not in news.only:
        return False
    return not news.closes or news.fact.run >= callback.from_run


def _told_ending(callback: Callback, run: int, word: str, now_ms: int) -> Callback:
    timed_out = word == "timed_out"
    told = replace(
        callback,
        timed_out_run=max(run, callback.timed_out_run) if timed_out else callback.timed_out_run,
        run_told=callback.run_told if timed_out else max(run, callback.run_told),
    )
    if not callback.once:
        return told
    state = CallbackState.TIMED_OUT if timed_out else CallbackState.ENDED
    return replace(told, state=state, closed_ms=now_ms)


def _catch_up(job: Job, callback: Callback, letters: list[Letter], now_ms: int) -> Callback:
    """Tell a callback that came after the ending, once a read has shown that the ending still stands."""
    waits = is_live(callback) and callback.run_told < job.run and callback.from_run <= job.run
    if job.state is not JobState.ENDED or not job.ending_event or not waits:
        return callback
    kind = event_type(job.kind, job.ending)
    if matches(callback.events, kind):
        letters.append(Letter(event=job.ending_event, type=kind, callback=callback.id, closes=True))
    return _told_ending(callback, job.run, job.ending, now_ms)
