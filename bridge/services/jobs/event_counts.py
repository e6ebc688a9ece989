"""Count the events of polls for people."""

from typing import Final

from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.observation import Outcome
from bridge.services.context import Services
from bridge.services.jobs.new_events import find_lag_ms

# Outcomes that a provider showed; the others are what the bridge concluded from silence or a 404.
SEEN_ENDINGS: Final = frozenset({Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.SKIPPED, Outcome.FAILED})


def count_events(services: Services, moved: Transition, at: PollContext) -> None:
    """Count the events of a transition that was written, and how late the end of the job was seen at most."""
    tallies, project = services.store.tallies, moved.job.project
    for new_event in moved.new_events:
        fact = new_event.draft.fact
        tallies.note_event(project, new_event.draft.type, now_ms=at.now_ms)
        if fact.outcome in SEEN_ENDINGS and not new_event.draft.of_part:
            lag_ms, failed = find_lag_ms(moved.job, moved, at), fact.outcome is Outcome.FAILED
            tallies.note_ending(project, failed=failed, lag_ms=lag_ms, now_ms=at.now_ms)
