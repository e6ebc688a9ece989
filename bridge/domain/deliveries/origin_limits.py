"""How many attempts may be in flight at one origin, over all its URLs and all projects.

The URLs of an origin are told apart by how they fared last, and each kind has slots of its own, so that those that hang
cannot take the slots of those that answer. Young attempts are limited apart from all attempts: one that hangs stops
holding others back as soon as it is no longer young.
"""

from typing import Final

from msgspec import Struct


class SlotLimit(Struct, frozen=True):
    """The slots of one kind of URLs: an attempt is young for `young_ms` after its begin.

    With `interval_ms` attempts are paced too: at most `burst` at once, then one each interval.
    """

    per_url: int
    young_ms: int
    young: int
    total: int
    burst: int = 0
    interval_ms: int = 0


class OriginLimits(Struct, frozen=True, kw_only=True):
    """The limits of one origin; `stranger` and `unreachable` replace the other three for the whole origin."""

    healthy: SlotLimit  # the URL's last attempt was answered 2xx
    unknown: SlotLimit  # no attempt lately, or an answer that came soon and was no 2xx
    slow: SlotLimit  # the last attempt timed out, or failed after a while
    stranger: SlotLimit  # the origin has never answered 2xx: it may be somebody who never asked for this
    unreachable: (
        SlotLimit  # connecting failed several times in a row: one attempt at a time looks whether it is back
    )

    def rows(self) -> tuple[SlotLimit, ...]:
        """Return the limits in the order in which the store's scripts number them."""
        return (self.healthy, self.unknown, self.slow, self.stranger, self.unreachable)


UNREACHABLE_AFTER: Final = 5  # failures to connect in a row
BURST: Final = 9
INTERVAL_MS: Final = 910  # with the burst at most 75 attempts in any 60 s at a host that never answers
_STRANGER_YOUNG_MS = 2_000


def plan_limits(attempt_timeout_s: float) -> OriginLimits:
    """Return the limits for attempts of at most so many seconds.

    A host that never answers gets at most 6 attempts at a time and 75 a minute, so that nobody can aim the bridge at a
    host that never asked for it. Answers that come soon do not count against the 75: they must not slow others down.

    At a stranger the young ones must not be what bounds the rate of attempts that all hang, since the place in the queue
    then costs more than a time-out for each six before it: 2 in a quarter of a time-out are 8 in a time-out, above 6.
    """
    stranger_young_ms = min(_STRANGER_YOUNG_MS, round(attempt_timeout_s * 250))
    return OriginLimits(
        healthy=SlotLimit(10, 300, 10, 32),
        unknown=SlotLimit(1, 250, 16, 48),
        slow=SlotLimit(1, 300, 4, 16),
        stranger=SlotLimit(1, stranger_young_ms, 2, 6, BURST, INTERVAL_MS),
        unreachable=SlotLimit(1, 0, 1, 1, BURST, INTERVAL_MS),
    )


DEFAULT_LIMITS: Final = plan_limits(30.0)
