"""What a worker does at intervals it does at the same moments."""

import asyncio
import time
from pathlib import Path

import pytest

from workers import ticks
from workers.ticks import seconds_to_tick, sleep_to_tick


@pytest.mark.parametrize(
    ("every_s", "now_s", "expected"),
    [(1.0, 100.25, 0.75), (2.0, 101.0, 1.0), (10.0, 104.0, 6.0), (1.0, 100.0, 1.0)],
)
def test_all_intervals_have_their_ticks_in_common(every_s: float, now_s: float, expected: float) -> None:
    """A tick is a multiple of the interval; a process's phase moves all of them alike."""
    assert seconds_to_tick(every_s, now_s=now_s, phase_s=0.0) == pytest.approx(expected)
    assert seconds_to_tick(every_s, now_s=now_s + 0.3, phase_s=0.3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("every_s", "now_s", "expected"),
    [
        (1.0, 100.25, 0.75),
        (10.0, 104.0, 6.0),
        # A timer that fires a moment too early was for this tick, and work that takes nearly an interval leaves a pause.
        (1.0, 100.99, 1.01),
        (5.0, 104.0, 6.0),
    ],
)
async def test_a_sleep_takes_half_an_interval_at_least(
    monkeypatch: pytest.MonkeyPatch, every_s: float, now_s: float, expected: float
) -> None:
    """The tick before that is skipped."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(time, "monotonic", lambda: now_s + ticks.PHASE_S)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await sleep_to_tick(every_s)
    monkeypatch.undo()
    assert slept == [pytest.approx(expected)]


def test_no_loop_of_a_worker_has_moments_of_its_own() -> None:
    """All sleep to ticks; only what waits for a store that is away sleeps for a time."""
    folder = Path(ticks.__file__).parent
    lines = [
        line
        for name in ("main", "memory", "tasks")
        for line in (folder / f"{name}.py").read_text().split("\n")
    ]
    assert {line.strip() for line in lines if "asyncio.sleep(" in line} == {
        "await asyncio.sleep(RESTART_DELAY_S)"
    }
    assert sum("await sleep_to_tick(" in line for line in lines) == 8
