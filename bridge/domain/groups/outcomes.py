"""What several jobs have come to together."""

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.domain.counts import choose_form
from bridge.domain.events.event import MAX_LISTED
from bridge.domain.observation import Outcome

GOOD = frozenset({Outcome.SUCCEEDED, Outcome.PARTIAL})
BAD = frozenset({Outcome.FAILED, Outcome.DELETED, Outcome.PARTIAL})


def join_outcomes(outcomes: Iterable[Outcome]) -> Outcome:
    """Return one outcome for several: unknown while any is, partial where some jobs succeeded and some did not.

    Skipped jobs count where there are no others.
    """
    found = frozenset(outcomes)
    if len(found) == 1:
        return next(iter(found))
    if not found or Outcome.UNKNOWN in found:
        return Outcome.UNKNOWN
    if not found & BAD:
        return Outcome.SUCCEEDED
    return Outcome.PARTIAL if found & GOOD else Outcome.FAILED


def explain_outcome(outcome: Outcome, ended: Sequence[tuple[str, Outcome]]) -> dict[str, Any] | None:
    """Return the error of several jobs, given as pairs of id and outcome; None where nothing went wrong."""
    total = len(ended)
    jobs = choose_form(total, "job")
    if outcome is Outcome.UNKNOWN:
        open_ids = [each for each, found in ended if found is Outcome.UNKNOWN]
        message = f"no ending was seen in time of {len(open_ids)} of {total} {jobs}, which may still come"
        return _error("watch_timeout", message, open_ids, retryable=False)
    if outcome not in BAD:
        return None
    bad = [each for each, found in ended if found in BAD]
    if outcome is Outcome.DELETED:
        return _error("deleted", f"the provider has none of {total} {jobs} any more", bad, retryable=False)
    return _error("items_failed", f"{len(bad)} of {total} {jobs} failed", bad, retryable=True)


def count_outcomes(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return the summary of several jobs."""
    return {
        "total": len(outcomes),
        "completed": outcomes.count(Outcome.SUCCEEDED),
        "failed": outcomes.count(Outcome.FAILED),
    }


def _error(code: str, message: str, ids: Sequence[str], *, retryable: bool) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, "items": list(ids[:MAX_LISTED])}
