"""Rate limits by token buckets in memory, bounded in number."""

from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 20_000


class RateLimiter:
    """One token bucket for each name; the least recently used ones are dropped first."""

    def __init__(
        self, *, burst: float, per_second: float, clock_s: Callable[[], float], max_buckets: int = MAX_BUCKETS
    ) -> None:
        """Allow `burst` at once and `per_second` in the long run; `clock_s` is monotonic."""
        self._burst = burst
        self._per_second = per_second
        self._clock_s = clock_s
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Return the seconds until a token is available, 0 for now, without taking one."""
        return max(0.0, (1 - self._level(name, self._clock_s())) / self._per_second)

    def take(self, name: str) -> float:
        """Take a token and return 0, or return the seconds to wait when there is none."""
        now_s = self._clock_s()
        level = self._level(name, now_s)
        if level < 1:
            return (1 - level) / self._per_second
        self._buckets[name] = (level - 1, now_s)
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        return 0.0

    def _level(self, name: str, now_s: float) -> float:
        level, at_s = self._buckets.get(name, (self._burst, 0.0))
        return min(self._burst, level + (now_s - at_s) * self._per_second)
