"""Count the events of polls for people, and log them."""

from typing import Final

import structlog

from bridge.domain.ids import read_request_id
from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.observation import Outcome
from bridge.services.context import Services
from bridge.services.jobs.new_events import find_lag_ms

log = structlog.get_logger()
LOGGED: Final = 20  # requests that one line names
# Outcomes that a provider showed; the others are what the bridge concluded from silence or a 404.
SEEN_ENDINGS: Final = frozenset({Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.SKIPPED, Outcome.FAILED})


def log_events(key: str, moved: Transition) -> None:
    """Log a transition's events, each with the ids of the requests that asked for it; `key` is the job's."""
    for new_event in moved.new_events:
        told = [each.callback for each in moved.notifications if each.event == new_event.event]
        log.info(
            "event.written",
            event_id=new_event.event,
            type=new_event.draft.type,
            job=key,
            polls=moved.log.polls,
            request_ids=[read_request_id(each) for each in told[:LOGGED]],
        )


def count_events(services: Services, moved: Transition, at: PollContext) -> None:
    """Count the events of a transition that was written, and how late the end of the job was seen at most."""
    tallies, project = services.store.tallies, moved.job.project
    for new_event in moved.new_events:
        fact = new_event.draft.fact
        tallies.note_event(project, new_event.draft.type, now_ms=at.now_ms)
        if fact.outcome in SEEN_ENDINGS and not (new_event.draft.of_part or moved.job.members):
            lag_ms, failed = find_lag_ms(moved.job, moved, at), fact.outcome is Outcome.FAILED
            tallies.note_ending(project, failed=failed, lag_ms=lag_ms, now_ms=at.now_ms)
