"""How the figures of the bench's tables come from what was measured."""

import asyncio
import os
import subprocess
import sys
import time

from bridge.config.descriptors import WANTED
from tests.bench.deliveries import SUSPECTS
from tests.bench.end_to_end import read_arrivals
from tests.bench.ground import FULL
from tests.bench.meter import Meter, Speed, cpu_clock
from tests.bench.pair import list_lines
from tests.bench.report import Row, percentile, write_table
from workers.slots import POLL_SLOTS, count_send_slots


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The share of smaller values is the one asked for; the last value stands for all above."""
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 51, 100, 100]


def test_a_row_shows_its_median_and_range_and_whether_an_aim_is_missed() -> None:
    """A row with one value has no range, and one without an aim an empty cell."""
    rows = [
        Row(name="a", values=[3, 1, 2], unit=" /s", least=2),
        Row(name="b", values=[0.5], digits=2, most=0.4),
        Row(name="c", values=[1234.4]),
    ]
    assert [row.cells() for row in rows] == [
        ("a", "2 /s (1–3)", "≥ 2 /s"),  # noqa: RUF001 -- a range
        ("b", "0.50", "≤ 0.40, missed"),
        ("c", "1,234", ""),
    ]
    assert write_table(("x", "y"), [("1", "2")]) == "| x | y |\n|---|---|\n| 1 | 2 |"


def test_callbacks_a_second_leave_out_the_first_and_the_last_of_a_group() -> None:
    """A straggler changes the lag of the worst, not the rate of all."""
    steady = [1 + number / 1000 for number in range(1000)]
    together = read_arrivals([*steady[:-1], 60.0])
    assert round(together.per_s) == 1000
    assert max(together.lags_ms) == 60_000


def test_two_checkouts_are_compared_round_by_round() -> None:
    """A round that was slow for both changes the medians' range, and no paired ratio."""
    before = [
        {"polls": Speed(per_s=rate, cpu_us=200), "bare GET": Speed(per_s=2 * rate, cpu_us=100)}
        for rate in (100, 50)
    ]
    after = [
        {"polls": Speed(per_s=rate, cpu_us=100), "bare GET": Speed(per_s=rate, cpu_us=100)}
        for rate in (150, 75)
    ]
    assert [line[1:] for line in list_lines("polls", before, after)] == [
        ("75 /s (50–100)", "112 /s (75–150)", "1.50 (1.50–1.50)"),  # noqa: RUF001 -- ranges
        ("0.50 (0.50–0.50)", "1.00 (1.00–1.00)", "2.00 (2.00–2.00)"),  # noqa: RUF001 -- likewise
        ("200 µs (200–200)", "100 µs (100–100)", "0.50 (0.50–0.50)"),  # noqa: RUF001 -- likewise
    ]


def test_the_pumps_are_measured_with_the_slots_of_the_worker() -> None:
    """As many of the attempts may hang."""
    assert FULL.poll_slots == POLL_SLOTS
    assert count_send_slots(WANTED) == (FULL.send_slots, round(FULL.send_slots * SUSPECTS))


def test_the_processor_time_of_another_process_is_measured() -> None:
    """A process that sleeps uses less than its computing neighbour; both are read from here."""
    programs = ("input()", "while True: pass")
    asleep, busy = (
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) for program in programs
    )
    try:
        clocks = [cpu_clock(process.pid) for process in (asleep, busy)]
        while clocks[1]() < 0.2:
            os.sched_yield()
        assert clocks[0]() < clocks[1]()
    finally:
        for process in (asleep, busy):
            process.kill()
            process.communicate()


async def test_a_meter_leaves_out_the_warm_up_and_what_comes_after() -> None:
    """The processor time is that of the clock it was given: one second an item here."""
    seconds = iter((10.0, 13.0))
    meter = Meter(warm_up=2, measured=3, cpu_s=lambda: next(seconds))
    began = time.perf_counter()
    for _ in range(7):
        meter.tick()
    await asyncio.wait_for(meter.wait(), 1)
    assert meter.speed().cpu_us == 1e6
    assert meter.speed().per_s > 3 / (time.perf_counter() - began)
