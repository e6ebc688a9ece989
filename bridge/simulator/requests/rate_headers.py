"""Values of the headers that announce a rate limit."""

import math

from bridge.simulator.behaviour.rate_windows import RateDecision
from bridge.simulator.behaviour.switches import ResetUnit
from bridge.simulator.jobs.timeline import iso


def format_reset(at: float, unit: ResetUnit) -> str:
    """Return a window's end; numbers are rounded up, so that a client that waits for them is not early."""
    if unit == "iso":
        return iso(math.ceil(at * 1000) / 1000)
    return str(math.ceil(at * 1000) if unit == "ms" else math.ceil(at))


def format_retry_after(decision: RateDecision, now: float) -> str:
    """Return the whole seconds until the window's end, at least 1."""
    return str(max(1, math.ceil(decision.resets_at - now)))
