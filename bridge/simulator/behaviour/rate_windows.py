"""Rate limits over windows of time; the caller passes the time."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Window = Literal["fixed", "aligned", "sliding"]
_MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDecision:
    """The limiter's decision on one request; `resets_at` is in Unix seconds, not rounded."""

    allowed: bool
    limit: int
    remaining: int
    resets_at: float


@dataclass(slots=True, kw_only=True)
class _Window:
    starts_at: float
    ends_at: float
    used: int = 0
    hits: deque[float] = field(default_factory=deque)


class Limiter:
    """Counts requests per bucket.

    `fixed` windows begin with a key's first request, `aligned` ones at multiples of their length, and `sliding` looks
    back one length from each request. A refused request does not count. The vendors' pages do not say which kind they
    use.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Window] = {}

    def take(self, bucket: str, *, limit: int, window_s: float, style: Window, now: float) -> RateDecision:
        """Count one request if the limit allows it, and return the decision."""
        count = self._counts.get(bucket)
        if style == "sliding":
            return self._slide(bucket, count, limit=limit, window_s=window_s, now=now)
        if count is None or now >= count.ends_at:
            starts_at = math.floor(now / window_s) * window_s if style == "aligned" else now
            count = self._keep(bucket, _Window(starts_at=starts_at, ends_at=starts_at + window_s), now)
        allowed = count.used < limit
        count.used += allowed
        return RateDecision(
            allowed=allowed, limit=limit, remaining=max(0, limit - count.used), resets_at=count.ends_at
        )

    def clear(self) -> None:
        """Forget every window."""
        self._counts.clear()

    def _slide(
        self, bucket: str, count: _Window | None, *, limit: int, window_s: float, now: float
    ) -> RateDecision:
        if count is None:
            count = self._keep(bucket, _Window(starts_at=now, ends_at=now + window_s), now)
        hits = count.hits
        while hits and hits[0] <= now - window_s:
            hits.popleft()
        allowed = len(hits) < limit
        if allowed:
            hits.append(now)
        count.ends_at = now + window_s
        resets_at = (hits[0] if hits else now) + window_s
        return RateDecision(
            allowed=allowed, limit=limit, remaining=max(0, limit - len(hits)), resets_at=resets_at
        )

    def _keep(self, bucket: str, count: _Window, now: float) -> _Window:
        if len(self._counts) >= _MAX_KEYS:
            self._counts = {key: kept for key, kept in self._counts.items() if kept.ends_at > now}
        self._counts[bucket] = count
        return count
