"""What is known of destinations: whether an origin has ever answered 2xx, and how often a lane failed in a row."""

from collections.abc import Sequence

from bridge.domain.deliveries.lanes import INBOX, origin_of
from bridge.domain.deliveries.retry import Verdict
from bridge.store.store import Store

SUCCESSES = frozenset({Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING})
PROVEN_AGAIN_MS = 3_600_000  # a known origin's last 2xx is written this often


class Receivers:
    """Reads and notes the health of destinations; what this process wrote itself is not written twice."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._proven: dict[tuple[str, str], int] = {}
        self._failing: set[tuple[str, str]] = set()

    async def load(self, shard: str, lanes: Sequence[str]) -> dict[str, tuple[bool, int]]:
        """Give for each lane whether its origin is proven, and its failures in a row."""
        origins = sorted({origin_of(lane) for lane in lanes} - {INBOX})
        proven, failures = await self._store.destinations.known(shard, origins, lanes)
        known = {
            lane: (origin_of(lane) == INBOX or origin_of(lane) in proven, failures.get(lane, 0))
            for lane in lanes
        }
        for lane, (_, count) in known.items():
            (self._failing.add if count else self._failing.discard)((shard, lane))
        return known

    async def note(self, shard: str, lane: str, verdict: Verdict, *, now_ms: int) -> None:
        """Note how an attempt ended; costs nothing for a destination in good health."""
        if verdict not in SUCCESSES:
            self._failing.add((shard, lane))
            await self._store.destinations.note_failure(shard, lane)
            return
        origin = origin_of(lane)
        written_ms = self._proven.get((shard, origin), 0)
        if now_ms - written_ms > PROVEN_AGAIN_MS or (shard, lane) in self._failing:
            self._proven[(shard, origin)] = now_ms
            self._failing.discard((shard, lane))
            await self._store.destinations.note_success(shard, lane, origin, now_ms)
