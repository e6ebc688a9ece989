"""Run a worker whose wall clock can be moved: the first real-time signal puts it an hour ahead, the second an hour back."""

import runpy
import signal
import sys
import time

HOUR_S = 3600
AHEAD, BACK = signal.SIGRTMIN, signal.SIGRTMIN + 1
MOVED = "clock moved"  # begins the line that says so

_true_s, _true_ns = time.time, time.time_ns
_offset_s = 0


def _move(number: int, _: object) -> None:
    global _offset_s  # noqa: PLW0603 -- a process has one clock
    _offset_s += HOUR_S if number == AHEAD else -HOUR_S
    sys.stdout.write(f"{MOVED} to {_offset_s:+d} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Before the product is imported, so that it finds no other clock whichever way it asks for the time.
    time.time = lambda: _true_s() + _offset_s
    time.time_ns = lambda: _true_ns() + _offset_s * 1_000_000_000
    for each in (AHEAD, BACK):
        signal.signal(each, _move)
    runpy.run_module("workers", run_name="__main__")
