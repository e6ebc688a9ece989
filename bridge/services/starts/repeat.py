"""What a repeated start waits for: the outcome of the first call, or a look for it."""

import asyncio

from bridge.domain.starts.looks import next_doubt_look_ms
from bridge.domain.starts.records import Fingerprint, Start
from bridge.domain.starts.repeats import Repeat
from bridge.services.context import Services
from bridge.services.starts.guard import Known, look_up
from bridge.services.starts.recovery import LOOK_EVERY_MS, look_again

WAIT_S = 25.0
CHECK_INTERVAL_S = 0.2  # another process may make the call, so that only the store can tell


async def await_outcome(
    services: Services, known: Known, fingerprint: Fingerprint, *, until: float
) -> Known | None:
    """Return a start when its first call has ended, or as it is at `until` (the loop's time); None if it was not done.

    One whose outcome is not known is looked for, unless somebody has just done so.
    """
    seen: Known | None = known
    loop = asyncio.get_running_loop()
    while seen is not None and seen.repeat is Repeat.RUNNING and loop.time() < until:
        await asyncio.sleep(CHECK_INTERVAL_S)
        seen = await look_up(services, known.place, fingerprint)
    if seen is not None and seen.repeat is Repeat.DOUBT:
        await look_again(services, known.place, until=until)
        return await look_up(services, known.place, fingerprint)
    return seen


def next_look_s(services: Services, start: Start) -> float:
    """Return after how many seconds a repetition can learn more of an uncertain start."""
    now_ms = services.clock_ms()
    next_ms = next_doubt_look_ms(start, scale=services.time_scale, now_ms=now_ms)
    return max(LOOK_EVERY_MS, 0 if next_ms is None else next_ms - now_ms) / 1000
