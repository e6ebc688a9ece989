"""How the requests for sweeps are shared among busy and quiet personas."""

import pytest

from bridge.domain.following.intervals import plan_intervals

CASES = [
    # busy, quiet: seconds for each
    (10, 0, 15.0, 15.0),
    (10, 30, 20.0, 180.0),
    (10, 90, 20.0, 540.0),
    (100, 0, 150.0, 150.0),
    (70, 30, 150.0, 150.0),  # most are busy: even turns
    (0, 100, 150.0, 150.0),
    (1, 0, 10.0, 10.0),
    (1, 3, 10.0, 10.0),  # what a busy one cannot use, the quiet ones get
]


@pytest.mark.parametrize(("active", "quiet", "active_s", "quiet_s"), CASES)
def test_forty_sweeps_a_minute(active: int, quiet: int, active_s: float, quiet_s: float) -> None:
    """The busy get three quarters, the quiet the rest, and nobody more than one in ten seconds."""
    planned = plan_intervals(active=active, quiet=quiet, per_minute=40)
    assert planned.active_s == pytest.approx(active_s)
    assert planned.quiet_s == pytest.approx(quiet_s)
    calls = sum(
        count * 60 / interval_s
        for count, interval_s in ((active, planned.active_s), (quiet, planned.quiet_s))
    )
    assert calls <= 40.001


def test_an_account_without_room_still_makes_ten_sweeps_a_minute() -> None:
    """However few requests are left."""
    assert plan_intervals(active=10, quiet=0, per_minute=1).active_s == 60
