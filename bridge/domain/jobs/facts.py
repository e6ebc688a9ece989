"""Draft the events of a job: its state as observed, its end, its absence, a refused key, a time-out."""

from collections.abc import Iterable, Mapping, Sequence

from bridge.domain.events.catalogue import event_type
from bridge.domain.events.event import Fact, build_error, build_summary
from bridge.domain.jobs.emitted import REVIEW, name_delivery
from bridge.domain.jobs.outcome import EventDraft, KindTraits, PartTraits
from bridge.domain.jobs.records import Job
from bridge.domain.observation import Observation, Outcome, Part


def draft_observed(
    job: Job, observation: Observation, *, ended: bool, late: bool, traits: KindTraits
) -> tuple[EventDraft, ...]:
    """Return the drafts of an observed object's events, that of its ending last."""
    drafts: list[EventDraft] = []
    if observation.progress and not ended:
        drafts.append(_draft(job, observation, observation.progress, late=late))
    # A review status that is not among the kind's words has no event: it may be spelt like an ending.
    if (review := observation.review or "") in traits.review_words:
        drafts.append(_draft(job, observation, review, name=f"{REVIEW}{review}"))
    if (reported := traits.reported_parts) is not None:
        drafts.extend(
            _draft_part(job, part, reported, late=late) for part in observation.parts if part.ending
        )
    if ended:
        drafts.append(_draft(job, observation, job.ending, late=late, closes=True))
    return tuple(drafts)


def _draft(
    job: Job, observation: Observation, word: str, *, name: str = "", late: bool = False, closes: bool = False
) -> EventDraft:
    ending = observation.ending if closes else None
    error = None
    if ending:
        error = build_error(word, ending.message, outcome=ending.outcome, parts=observation.parts)
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
        shortened=observation.shortened,
    )
    return EventDraft(name=name or word, type=event_type(job.kind, word), fact=fact, closes=closes)


def _draft_part(job: Job, part: Part, traits: PartTraits, *, late: bool) -> EventDraft:
    """Return the draft of the event of a part that has ended; its kind and its `data` are the part's."""
    assert part.ending is not None, "only parts that have ended have an event"
    word = part.ending.word
    fact = Fact(
        word=word,
        kind=traits.kind,
        job_id=part.id,
        status=part.status,
        outcome=part.ending.outcome,
        error=build_error(word, part.ending.message, outcome=part.ending.outcome),
        summary=None,
        related={traits.parent_field: job.id},
        data=part.data,
        run=job.run,
        late=late,
    )
    return EventDraft(
        name=name_delivery(part.id, word), type=event_type(traits.kind, word), fact=fact, of_part=True
    )


def draft_gone(job: Job, word: str, *, related: Mapping[str, str], late: bool) -> EventDraft:
    """Return the draft of a job's `deleted`, `not_found` or `replaced` (by a regenerated item).

    Of a job that had been seen, the event is to show the last object: who hears that it is gone can read it nowhere.
    """
    outcome = {"deleted": Outcome.DELETED, "not_found": Outcome.UNKNOWN, "replaced": Outcome.DELETED}[word]
    error = None if word == "replaced" else build_error(word, None)
    fact = _fact_without_object(
        job, word, outcome=outcome, error=error, related=related, late=late, gone=job.seen
    )
    return EventDraft(name=word, type=event_type(job.kind, word), fact=fact, closes=True)


def draft_unauthorized(job: Job, auth_refused: str, *, only: Iterable[str]) -> EventDraft:
    """Return the draft of the notice that the account's key is refused, once for each refusal and callback."""
    fact = _fact_without_object(
        job, "unauthorized", error=build_error("unauthorized", None, unauthorized=True)
    )
    kind = event_type(job.kind, "unauthorized")
    return EventDraft(name=f"unauthorized:{auth_refused}", type=kind, fact=fact, only=frozenset(only))


def draft_timed_out(
    job: Job, seen: Observation | None, *, run: int, refused: bool, only: Sequence[str]
) -> EventDraft:
    """Return the draft of `.timed_out` for the callbacks `only`: no ending was seen until their deadline.

    The first one's id is part of the fact's name. Callbacks with a later deadline get an event of their own, with the
    object as it is then.
    """
    fact = _fact_without_object(
        job,
        "timed_out",
        outcome=Outcome.UNKNOWN,
        error=build_error("timed_out", None, unauthorized=refused),
        related=seen.related if seen else {},
        data=seen.data if seen else None,
        run=run,
    )
    kind = event_type(job.kind, "timed_out")
    return EventDraft(name=f"timed_out:{only[0]}", type=kind, fact=fact, closes=True, only=frozenset(only))


def _fact_without_object(
    job: Job,
    word: str,
    *,
    outcome: Outcome | None = None,
    error: dict[str, object] | None,
    related: Mapping[str, str] | None = None,
    data: Mapping[str, object] | None = None,
    run: int = 0,
    late: bool = False,
    gone: bool = False,
) -> Fact:
    return Fact(
        word=word,
        kind=job.kind,
        job_id=job.id,
        status=job.status,
        outcome=outcome,
        error=error,
        summary=None,
        related=related or {},
        data=data or {"id": job.id},
        run=run or job.run,
        late=late,
        gone=gone,
    )
