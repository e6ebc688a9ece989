"""How often somebody may do something: token buckets in memory, bounded in number."""

from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 20_000


class RateLimiter:
    """A token bucket a name; the ones unused for longest are forgotten first."""

    def __init__(
        self, *, burst: float, per_second: float, clock_s: Callable[[], float], most: int = MOST_BUCKETS
    ) -> None:
        """Allow `burst` at once and `per_second` in the long run; `clock_s` is monotonic."""
        self._burst = burst
        self._per_second = per_second
        self._clock_s = clock_s
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Seconds until a token is there; 0: now. Takes none."""
        return max(0.0, (1 - self._level(name)) / self._per_second)

    def take(self, name: str) -> float:
        """Take a token; gives 0, or the seconds to wait when there is none."""
        level = self._level(name)
        if level < 1:
            return (1 - level) / self._per_second
        self._buckets[name] = (level - 1, self._clock_s())
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0

    def _level(self, name: str) -> float:
        level, at_s = self._buckets.get(name, (self._burst, 0.0))
        return min(self._burst, level + (self._clock_s() - at_s) * self._per_second)
