"""When breakers open, for how long, and what is shown of them."""

import pytest

from bridge.domain.deliveries.breaker import Breaker, BreakerState, plan_breaker, worst

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("schedule_s", "first_ms", "longest_ms", "ramp_ms"),
    [
        ((2, 5, 30, 300, 1800, 7200), 2_000, 1_800_000, 30_000),  # the default one
        ((0.02, 0.05, 0.3, 3, 18, 72), 20, 72_000, 300),  # a hundred times as fast
        ((0.1, 0.2), 100, 200, 1_500),  # no sleep is longer than the longest delay
        ((7200,), 1_800_000, 1_800_000, 30_000),  # and none longer than half an hour
        ((0, 5), 1, 5_000, 15),  # a schedule that begins at once
    ],
)
def test_sleeps_scale_with_the_retry_schedule(
    schedule_s: tuple[float, ...], first_ms: int, longest_ms: int, ramp_ms: int
) -> None:
    """The first one is the first delay of the schedule."""
    plan = plan_breaker(schedule_s)
    assert (plan.first_ms, plan.longest_ms, plan.ramp_ms) == (first_ms, longest_ms, ramp_ms)
    assert 0 < plan.step_ms <= plan.ramp_ms


@pytest.mark.parametrize(
    ("breaker", "state"),
    [
        (Breaker(failures=9), BreakerState.CLOSED),
        (Breaker(failures=10, opened_ms=1, sleeps_until_ms=NOW_MS + 1), BreakerState.OPEN),
        (Breaker(failures=10, opened_ms=1, sleeps_until_ms=NOW_MS), BreakerState.HALF_OPEN),
        (Breaker(failures=10, opened_ms=1), BreakerState.HALF_OPEN),
        # between two steps of a ramp
        (Breaker(opened_ms=1, sleeps_until_ms=NOW_MS + 1, is_ramping=True), BreakerState.CLOSED),
        # a gate without an open breaker
        (Breaker(sleeps_until_ms=NOW_MS + 1), BreakerState.CLOSED),
    ],
)
def test_the_state_follows_from_the_opening_and_the_sleep(breaker: Breaker, state: BreakerState) -> None:
    """A sleep that is over leaves it half-open."""
    assert breaker.state(NOW_MS) is state


def test_of_several_shards_the_one_that_lets_the_least_through_is_shown() -> None:
    """Open before half-open, and of two that are open the one that sleeps longer."""
    long = Breaker(failures=12, opened_ms=1, sleeps_until_ms=NOW_MS + 9)
    short = Breaker(failures=10, opened_ms=1, sleeps_until_ms=NOW_MS + 1)
    half = Breaker(failures=99, opened_ms=1)
    assert worst((Breaker(), half, short, long), NOW_MS) == long
    assert worst((Breaker(failures=3), half), NOW_MS) == half
    assert worst((Breaker(), Breaker(failures=3)), NOW_MS).failures == 3
