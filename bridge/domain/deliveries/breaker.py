"""The breaker of a URL: after failures in a row nothing is sent to it but one attempt at a time, after longer and longer sleeps.

Closed, open, half-open, closed again: the store's scripts claim_fair and settle_fair change the state, in the same step
as the attempts on which it depends. Here is what they go by, and what is shown of it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

OPENS_AFTER: Final = 10  # failures in a row
APART_MS: Final = 5_000  # of failures within it one counts: those of a herd say no more than one attempt's
LONGEST_S: Final = 1_800.0
RAMP_MS: Final = 30_000  # or less: so many times the first sleep
RAMP_SLEEPS: Final = 15
RAMP_STEPS: Final = 150


class BreakerState(StrEnum):
    """What a URL's breaker lets through: everything, nothing, or one attempt that decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerPlan(Struct, frozen=True, kw_only=True):
    """When breakers open and for how long.

    Failures in a row open one; of those within `apart_ms` one counts, so that it takes some time.
    A sleep lasts as long as the breaker has been open, so that they double; `first_ms` at least, `longest_ms` at most, and up
    to 20 % longer. After a 2xx what waits is let out during `ramp_ms`, a few each `step_ms`: first one, in the end ten.
    """

    opens_after: int
    apart_ms: int
    first_ms: int
    longest_ms: int
    ramp_ms: int
    step_ms: int


class Breaker(Struct, frozen=True, kw_only=True):
    """The breaker of one URL: `failures` in a row, when it opened (0: it is closed) and until when it sleeps."""

    failures: int = 0
    opened_ms: int = 0
    sleeps_until_ms: int = 0
    is_ramping: bool = False  # closed a moment ago: what waited is let out step by step

    def state(self, now_ms: int) -> BreakerState:
        """Return the state; half-open once a sleep is over, until the next attempt has ended."""
        if not self.opened_ms or self.is_ramping:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.sleeps_until_ms > now_ms else BreakerState.HALF_OPEN


def plan_breaker(schedule_s: Sequence[float]) -> BreakerPlan:
    """Return the plan for a retry schedule in seconds: the first sleep is its first delay, none is longer than its longest.

    With the default schedule that is 2 s and 30 min, and the ramp lasts 30 s.
    """
    longest_s = min(LONGEST_S, max(schedule_s))
    first_ms = max(1, round(min(schedule_s[0], longest_s) * 1000))
    ramp_ms = min(RAMP_MS, RAMP_SLEEPS * first_ms)
    return BreakerPlan(
        opens_after=OPENS_AFTER,
        apart_ms=APART_MS,
        first_ms=first_ms,
        longest_ms=max(first_ms, round(longest_s * 1000)),
        ramp_ms=ramp_ms,
        step_ms=max(1, ramp_ms // RAMP_STEPS),
    )


DEFAULT_PLAN: Final = plan_breaker((2.0, 5.0, 30.0, 300.0, 1800.0))


def worst(breakers: Sequence[Breaker], now_ms: int) -> Breaker:
    """Return the one of a URL's breakers that lets the least through: each shard has its own."""
    order = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
    return max(
        breakers,
        key=lambda each: (order.index(each.state(now_ms)), each.sleeps_until_ms, each.failures),
    )
