"""What a reading means for a job: the state machine, pure.

`advance` takes a job as it was loaded and one reading, and gives the job as it is now, the events to tell, to whom,
and when to read again. It sends nothing and stores nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from bridge.domain import absence, overdue
from bridge.domain.cadence import TAIL_INTERVAL_S, Pace
from bridge.domain.event_types import EVENT_TYPES, event_type
from bridge.domain.events import Fact, build_error, build_summary
from bridge.domain.job import TRANSITIONS, Job, JobState, PollLog
from bridge.domain.letters import address, number_news
from bridge.domain.marks import mark_poll
from bridge.domain.news import Advance, Moment, News, Traits
from bridge.domain.next_read import expire, is_done, plan_next
from bridge.domain.reading import Forbidden, Missing, Observation, Outcome, Part, Reading, Refused, Seen
from bridge.domain.runs import find_replaced, find_superseded, is_new_run, list_parts, start_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one reading alone does: the job moved on, and its news."""

    job: Job
    news: tuple[News, ...] = ()
    replaced: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = field(default=None)


def advance(
    job: Job, log: PollLog, reading: Reading, *, key: str, at: Moment, traits: Traits, pace: Pace
) -> Advance:
    """Move a job on by one reading. `key` is the job's key; times in `at` are the store's."""
    before = job.state
    log = mark_poll(log, reading, at)
    step = _read(job, reading, at=at, traits=traits, pace=pace)
    late = overdue.tell(step.job, log, reading, at=at, traits=traits, pace=pace)
    job, fresh, named = number_news(late.job, key, (*step.news, *late.news))
    job = _remember_ending(job, named)
    job, letters = address(job, named, now_ms=at.now_ms, confirmed=isinstance(reading, Seen | Missing))
    job = overdue.begin_tail(expire(job, now_ms=at.now_ms), at=at, told=bool(late.news))
    assert job.state is before or job.state in TRANSITIONS[before], f"no way from {before} to {job.state}"
    delay = plan_next(job, log, reading, at=at, traits=traits, pace=pace)
    log = replace(log, due_ms=0 if delay is None else at.now_ms + delay)
    return Advance(
        job=job,
        log=log,
        fresh=fresh,
        letters=letters,
        delay_ms=delay,
        data=step.data,
        replaced=step.replaced,
    )


def replace_item(
    job: Job, log: PollLog, *, key: str, at: Moment, related: Mapping[str, str], pace: Pace
) -> Advance | None:
    """End a watched item that a new run of its post replaced; None when it had ended as gone before."""
    if job.ending in absence.GONE:
        return None
    job, news = absence.end_as(job, "replaced", related=related)
    job, fresh, named = number_news(job, key, news)
    job = _remember_ending(job, named)
    job, letters = address(job, named, now_ms=at.now_ms, confirmed=False)
    delay = None if is_done(job, now_ms=at.now_ms) else pace.ms(TAIL_INTERVAL_S)
    return Advance(job=job, log=log, fresh=fresh, letters=letters, delay_ms=delay)


def _remember_ending(job: Job, named: tuple[tuple[str, News], ...]) -> Job:
    """Keep which event says how this run ended, for callbacks that come later."""
    for identifier, news in named:
        if news.closes and job.state is JobState.ENDED and news.fact.word == job.ending:
            job = replace(job, ending_event=identifier)
    return job


def _read(job: Job, reading: Reading, *, at: Moment, traits: Traits, pace: Pace) -> Step:
    match reading:
        case Seen(observation=observation):
            return _see(job, observation, at=at, traits=traits)
        case Missing():
            moved, news = absence.miss(job, at=at, pace=pace)
            return Step(job=moved, news=news)
        case Refused() | Forbidden() if at.outage and at.outage != job.outage:
            return Step(job=replace(job, outage=at.outage), news=(_unauthorized(job, at),))
        case _:
            return Step(job=job)


def _see(job: Job, observation: Observation, *, at: Moment, traits: Traits) -> Step:
    parts = list_parts(observation)
    restarted = is_new_run(job, observation, parts)
    superseded: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    before = job
    if restarted:
        superseded = find_superseded(job, parts)
        replaced = (*find_replaced(job, parts), *superseded)
        job = start_run(job, now_ms=at.now_ms, clock=traits.clock)
    ending = observation.ending
    if superseded or not set(job.awaited) <= {part for part, _ in parts}:
        ending = None  # the next read, without the superseded items, decides
    job = _expect_runs(job, ended=ending is not None and not restarted)
    late = job.state is JobState.TAIL
    job = replace(
        job,
        seen=True,
        status=observation.status,
        clock_ms=_clock(before, job, observation, parts, at=at, traits=traits),
        parts=parts,
        superseded=(*job.superseded, *superseded),
        persona=observation.related.get("persona_id", job.persona),
        missing_ms=0,
        missing_reads=0,
        outage="",
        state=_state_seen(job, ended=ending is not None),
        ending=ending.word if ending else ("timed_out" if late else ""),
    )
    return Step(
        job=job,
        news=tuple(_list_news(job, observation, ended=ending is not None, late=late)),
        replaced=replaced,
        data=observation.data,
    )


def _state_seen(job: Job, *, ended: bool) -> JobState:
    if ended:
        return JobState.ENDED
    return JobState.TAIL if job.state is JobState.TAIL else JobState.WATCHING


def _expect_runs(job: Job, *, ended: bool) -> Job:
    """Decide, at the first read after its registration, which run a callback with `expect: new_run` means."""
    if not any(callback.expect == "new_run" and callback.from_run == 0 for callback in job.callbacks):
        return job
    run = job.run + 1 if ended else job.run
    return replace(
        job,
        callbacks=tuple(
            replace(callback, from_run=run)
            if callback.expect == "new_run" and callback.from_run == 0
            else callback
            for callback in job.callbacks
        ),
    )


def _clock(
    before: Job,
    job: Job,
    observation: Observation,
    parts: tuple[tuple[str, str], ...],
    *,
    at: Moment,
    traits: Traits,
) -> int:
    """Give the start of the watch clock: documented times are per item, a publication's begins with a delivery."""
    if traits.clock == "first_part":
        return job.clock_ms or (at.now_ms if parts and not observation.idle else 0)
    known = dict(before.parts)
    ended = any(word and not known.get(part) for part, word in parts)
    return at.now_ms if traits.clock == "parts" and known and ended else job.clock_ms


def _list_news(job: Job, observation: Observation, *, ended: bool, late: bool) -> list[News]:
    news = []
    if observation.progress and not ended:
        news.append(_news(job, observation, observation.progress, late=late))
    if observation.review and event_type(job.kind, observation.review) in EVENT_TYPES:
        news.append(_news(job, observation, observation.review, name=f"review:{observation.review}"))
    if job.kind == "outgoing_post":
        news.extend(_delivery_news(job, part) for part in observation.parts if part.ending)
    if ended:
        news.append(_news(job, observation, job.ending, late=late, closes=True))
    return news


def _news(
    job: Job,
    observation: Observation,
    word: str,
    *,
    name: str = "",
    late: bool = False,
    closes: bool = False,
) -> News:
    ending = observation.ending if closes else None
    error = None
    if ending and ending.outcome in (Outcome.FAILED, Outcome.PARTIAL):
        error = build_error(word, ending.message, parts=observation.parts)
    fact = Fact(
        word=word,
        kind=job.kind,
        job_id=job.id,
        status=observation.status,
        outcome=ending.outcome if ending else None,
        error=error,
        summary=build_summary(observation.parts),
        related=observation.related,
        data=observation.data,
        run=job.run,
        late=late,
    )
    return News(name=name or word, type=event_type(job.kind, word), fact=fact, closes=closes)


def _delivery_news(job: Job, part: Part) -> News:
    """Tell of one account's delivery: an event of its own kind, whose `data` is that delivery."""
    assert part.ending is not None, "only ended deliveries are news"
    failed = part.ending.outcome is Outcome.FAILED
    fact = Fact(
        word=part.ending.word,
        kind="publishing_delivery",
        job_id=part.id,
        status=part.status,
        outcome=part.ending.outcome,
        error=build_error(part.ending.word, part.ending.message) if failed else None,
        summary=None,
        related={"outgoing_post_id": job.id},
        data=part.data,
        run=job.run,
        late=job.state is JobState.TAIL,
    )
    kind = event_type("publishing_delivery", part.ending.word)
    return News(name=f"delivery:{part.id}:{part.ending.word}", type=kind, fact=fact)


def _unauthorized(job: Job, at: Moment) -> News:
    fact = Fact(
        word="unauthorized",
        kind=job.kind,
        job_id=job.id,
        status=job.status,
        outcome=None,
        error=build_error("unauthorized", None, unauthorized=True),
        summary=None,
        related={},
        data={"id": job.id},
        run=job.run,
        late=False,
    )
    return News(name=f"unauthorized:{at.outage}", type=event_type(job.kind, "unauthorized"), fact=fact)
