"""The moments at which a worker does what it does at intervals: the same ones for all of it.

A process that wakes up does its work with cold caches, which costs more than the work itself. So an idle worker
wakes up once a second and not once for each of its loops.
"""

import asyncio
import time
from typing import Final

EARLY_S: Final = 0.05  # a timer that fires a little early must not fire again at the same tick


def seconds_to_tick(every_s: float, *, now_s: float) -> float:
    """Return the seconds until the next multiple of an interval by the monotonic clock, at least `EARLY_S`."""
    left = every_s - now_s % every_s
    return left if left >= EARLY_S else left + every_s


async def sleep_to_tick(every_s: float) -> None:
    """Sleep until the next multiple of an interval."""
    await asyncio.sleep(seconds_to_tick(every_s, now_s=time.monotonic()))
