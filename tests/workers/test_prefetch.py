"""How far a pump loads ahead follows what its slots end."""

from workers.prefetch import CLAIMS_AHEAD, MAX_AHEAD_S, MIN_AHEAD_S, MIN_PER_SLOT, Throughput

SLOTS = 10


def run(throughput: Throughput, *, per_s: int, from_s: int) -> None:
    for second in range(from_s, from_s + 60):
        for _ in range(per_s):
            throughput.note_end()
        throughput.measure(float(second))


def test_slow_slots_hold_little() -> None:
    throughput = Throughput(SLOTS)
    assert throughput.held == SLOTS * MIN_PER_SLOT
    run(throughput, per_s=1, from_s=1)
    assert throughput.held == SLOTS * MIN_PER_SLOT


def test_fast_slots_hold_what_they_take_while_a_claim_is_under_way() -> None:
    throughput = Throughput(SLOTS)
    run(throughput, per_s=1000, from_s=1)
    assert throughput.held == SLOTS + round(1000 * MIN_AHEAD_S)
    run(throughput, per_s=0, from_s=61)
    assert throughput.held == SLOTS * MIN_PER_SLOT


def test_where_claims_take_long_more_is_held() -> None:
    """But never so much that it would have to be given back before it is begun."""
    throughput = Throughput(SLOTS)
    run(throughput, per_s=1000, from_s=1)
    throughput.note_claim(0.3)
    assert throughput.held == SLOTS + round(1000 * 0.3 * CLAIMS_AHEAD)
    throughput.note_claim(30.0)
    assert throughput.held == SLOTS + round(1000 * MAX_AHEAD_S)
    throughput.note_claim(0.001)
    assert throughput.held == SLOTS + round(1000 * MIN_AHEAD_S)


def test_a_clock_that_stands_still_measures_nothing() -> None:
    throughput = Throughput(SLOTS)
    throughput.measure(1.0)
    throughput.note_end()
    throughput.measure(1.0)
    assert throughput.held == SLOTS * MIN_PER_SLOT
