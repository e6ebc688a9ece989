"""When an endpoint whose receiver takes nothing is warned of, and when it is disabled.

Only the first attempts of deliveries count, so that neither retries nor what somebody sends again speed it up. Both need
days: an outage of a weekend, or a mistake in a deployment, disables nothing.
"""

from typing import Final

from msgspec import Struct

DAY_MS: Final = 86_400_000
DISABLED_AFTER_MS: Final = 5 * DAY_MS
WARNED_BEFORE_MS: Final = DAY_MS
LEAST_FAILED: Final = 20
LEAST_DAYS: Final = 3


class EndpointTrouble(Struct, frozen=True, kw_only=True):
    """What is known of an endpoint since its last 2xx, or since it was enabled."""

    since_ms: int  # the first failure
    failed: int  # deliveries whose first attempt failed
    days: int  # on which that happened
    warned_ms: int = 0  # 0: it was not yet warned of


def is_near_end(trouble: EndpointTrouble, *, now_ms: int) -> bool:
    """Whether an endpoint is to be warned of: it will be disabled in a day, unless it answers 2xx."""
    return _has_failed_for(trouble, DISABLED_AFTER_MS - WARNED_BEFORE_MS, now_ms=now_ms)


def is_over(trouble: EndpointTrouble, *, now_ms: int) -> bool:
    """Whether an endpoint is to be disabled: it has failed for five days, and the warning is a day old."""
    was_warned = 0 < trouble.warned_ms <= now_ms - WARNED_BEFORE_MS
    return was_warned and _has_failed_for(trouble, DISABLED_AFTER_MS, now_ms=now_ms)


def disabled_from_ms(trouble: EndpointTrouble) -> int:
    """Return when an endpoint that was warned of is disabled at the earliest."""
    return max(trouble.since_ms + DISABLED_AFTER_MS, trouble.warned_ms + WARNED_BEFORE_MS)


def _has_failed_for(trouble: EndpointTrouble, least_ms: int, *, now_ms: int) -> bool:
    lasted_ms = now_ms - trouble.since_ms
    return lasted_ms >= least_ms and trouble.failed >= LEAST_FAILED and trouble.days >= LEAST_DAYS
