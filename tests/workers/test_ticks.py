"""What a worker does at intervals it does at the same moments."""

import pytest

from workers.ticks import seconds_to_tick


@pytest.mark.parametrize(
    ("every_s", "now_s", "expected"),
    [
        (1.0, 100.25, 0.75),
        (2.0, 101.0, 1.0),
        (10.0, 104.0, 6.0),
        (1.0, 100.0, 1.0),
        # A timer that fires a moment too early is for this tick, and the next one is an interval later.
        (1.0, 100.99, 1.01),
        (5.0, 104.96, 5.04),
    ],
)
def test_all_intervals_have_their_ticks_in_common(every_s: float, now_s: float, expected: float) -> None:
    """A tick is a multiple of the interval."""
    assert seconds_to_tick(every_s, now_s=now_s) == pytest.approx(expected)
