"""How far a pump loads ahead follows what its slots end."""

from workers.prefetch import CLAIMS_AHEAD, LEAST, MAX_AHEAD_S, MIN_AHEAD_S, Throughput

PER_S = 2_000


def run(throughput: Throughput, *, per_s: int, from_s: int) -> None:
    for second in range(from_s, from_s + 60):
        for _ in range(per_s):
            throughput.note_end()
        throughput.measure(float(second))


def test_behind_slow_slots_few_items_wait() -> None:
    throughput = Throughput()
    assert throughput.ahead == LEAST
    run(throughput, per_s=1, from_s=1)
    assert throughput.ahead == LEAST


def test_behind_fast_slots_as_many_wait_as_they_begin_while_a_claim_is_under_way() -> None:
    throughput = Throughput()
    run(throughput, per_s=PER_S, from_s=1)
    assert throughput.ahead == round(PER_S * MIN_AHEAD_S)
    run(throughput, per_s=0, from_s=61)
    assert throughput.ahead == LEAST


def test_where_claims_take_long_more_wait() -> None:
    """But never so much that it would have to be given back before it is begun."""
    throughput = Throughput()
    run(throughput, per_s=PER_S, from_s=1)
    throughput.note_claim(0.3)
    assert throughput.ahead == round(PER_S * 0.3 * CLAIMS_AHEAD)
    throughput.note_claim(30.0)
    assert throughput.ahead == round(PER_S * MAX_AHEAD_S)
    throughput.note_claim(0.001)
    assert throughput.ahead == round(PER_S * MIN_AHEAD_S)


def test_a_clock_that_stands_still_measures_nothing() -> None:
    throughput = Throughput()
    throughput.measure(1.0)
    throughput.note_end()
    throughput.measure(1.0)
    assert throughput.ahead == LEAST
