"""The moments at which a worker does what it does at intervals: the same ones for all of it.

A process that wakes up does its work with cold caches, which costs more than the work itself. So an idle worker
wakes up once for all that is due in a second, and not once for each of its loops.
"""

import asyncio
import os
import time
from typing import Final

# A process has moments of its own: the workers of a machine would all look in the same one otherwise.
PHASE_S: Final = os.getpid() * 0.618 % 1.0


def seconds_to_tick(every_s: float, *, now_s: float, phase_s: float = PHASE_S) -> float:
    """Return the seconds until the next multiple of an interval, counted from the process's phase by the monotonic clock."""
    return every_s - (now_s - phase_s) % every_s


async def sleep_to_tick(every_s: float) -> None:
    """Sleep until the next multiple of an interval that leaves a pause of half an interval at least."""
    left = seconds_to_tick(every_s, now_s=time.monotonic())
    await asyncio.sleep(left if left >= every_s / 2 else left + every_s)
