"""Build the records of a transition's new events."""

from bridge.domain.events.event import build_event
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.outcome import NewEvent, PollContext, Transition
from bridge.domain.jobs.poll_history import previous_poll_ms
from bridge.domain.jobs.records import Job
from bridge.providers.registry import CATALOGUE


def build_record(
    before: Job, key: str, moved: Transition, new_event: NewEvent, at: PollContext, *, listed: bytes
) -> EventRecord:
    """Return an event's record; `listed` is the JSON of the job's callbacks, empty where no endpoint could hear it."""
    previous = previous_poll_ms(moved.log) or before.born_ms
    body = build_event(
        CATALOGUE,
        new_event.draft.fact,
        event_id=new_event.event,
        at_ms=at.now_ms,
        sequence=new_event.sequence,
        observed_ms=at.now_ms,
        polls=moved.log.polls,
        lag_max_ms=max(0, at.now_ms - previous),
        source="last_seen" if new_event.draft.fact.gone else at.source,
    )
    return EventRecord(
        id=new_event.event,
        type=new_event.draft.type,
        project=before.project,
        job=key,
        at_ms=at.now_ms,
        body=body,
        job_callbacks=listed,
    )
