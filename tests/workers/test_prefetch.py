"""How far a pump loads ahead follows what its slots end."""

from workers.prefetch import AHEAD_S, AT_LEAST, Pace

SLOTS = 10


def run(pace: Pace, *, per_s: int, from_s: int) -> None:
    for second in range(from_s, from_s + 60):
        for _ in range(per_s):
            pace.note_end()
        pace.measure(float(second))


def test_slow_slots_hold_little() -> None:
    pace = Pace(SLOTS)
    assert pace.held == SLOTS * AT_LEAST
    run(pace, per_s=1, from_s=1)
    assert pace.held == SLOTS * AT_LEAST


def test_fast_slots_hold_what_they_take_while_a_claim_is_under_way() -> None:
    pace = Pace(SLOTS)
    run(pace, per_s=1000, from_s=1)
    assert pace.held == SLOTS + round(1000 * AHEAD_S)
    run(pace, per_s=0, from_s=61)
    assert pace.held == SLOTS * AT_LEAST


def test_a_clock_that_stands_still_measures_nothing() -> None:
    pace = Pace(SLOTS)
    pace.measure(1.0)
    pace.note_end()
    pace.measure(1.0)
    assert pace.held == SLOTS * AT_LEAST
