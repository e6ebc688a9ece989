"""What several jobs have come to together."""

import pytest

from bridge.domain.groups.outcomes import explain_outcome, join_outcomes
from bridge.domain.observation import Outcome

S, P, K, F, D, U = (
    Outcome(each) for each in ("succeeded", "partial", "skipped", "failed", "deleted", "unknown")
)


@pytest.mark.parametrize(
    ("outcomes", "joined"),
    [
        ((S, S), S),
        ((S, K), S),  # what had nothing to do is no failure
        ((K, K), K),
        ((S, F), P),
        ((S, P), P),
        ((S, D), P),
        ((P, F), P),
        ((F, F), F),
        ((F, K), F),
        ((F, D), F),
        ((D, D), D),
        ((S, U), U),  # it may yet be a success or a failure
        ((F, U), U),
        ((), U),
    ],
)
def test_outcomes_join(outcomes: tuple[Outcome, ...], joined: Outcome) -> None:
    """Whatever their order."""
    assert join_outcomes(outcomes) is join_outcomes(reversed(outcomes)) is joined


@pytest.mark.parametrize(
    ("outcomes", "code", "items"),
    [
        ((S, F), "items_failed", ["1"]),
        ((F, F), "items_failed", ["0", "1"]),
        ((S, U), "watch_timeout", ["1"]),
        ((D, D), "deleted", ["0", "1"]),
    ],
)
def test_an_error_names_the_jobs_that_it_is_about(
    outcomes: tuple[Outcome, ...], code: str, items: list[str]
) -> None:
    """So that only these have to be started again."""
    ended = [(str(number), outcome) for number, outcome in enumerate(outcomes)]
    error = explain_outcome(join_outcomes(outcomes), ended)
    assert error is not None
    assert (error["code"], error["items"]) == (code, items)
    assert f"{len(items)} of 2 jobs" in error["message"] or code == "deleted"


@pytest.mark.parametrize("outcomes", [(S, S), (S, K), (K, K)])
def test_what_went_well_has_no_error(outcomes: tuple[Outcome, ...]) -> None:
    """Nor has what was skipped."""
    ended = [(str(number), outcome) for number, outcome in enumerate(outcomes)]
    assert explain_outcome(join_outcomes(outcomes), ended) is None
