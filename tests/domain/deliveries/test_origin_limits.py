"""The limits of an origin keep what is promised of hosts that never answer."""

import pytest

from bridge.domain.deliveries.origin_limits import plan_limits


def test_a_stranger_gets_six_at_once_and_75_a_minute() -> None:
    """The burst, and what follows in a minute at its pace."""
    stranger = plan_limits(30).stranger
    assert (stranger.total, stranger.per_url) == (6, 1)
    assert stranger.burst + 60_000 // stranger.interval_ms <= 75


@pytest.mark.parametrize("timeout_s", [5.0, 10.0, 30.0, 120.0])
def test_attempts_that_hang_are_bound_by_their_number_not_their_age(timeout_s: float) -> None:
    """Else a place behind n hanging URLs would cost more than a time-out for each six."""
    stranger = plan_limits(timeout_s).stranger
    assert stranger.young * timeout_s * 1000 / stranger.young_ms >= stranger.total
