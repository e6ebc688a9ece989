"""Holds: the first delivery of a new callback waits until its registration has been answered."""

from collections.abc import Sequence

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.grouping import Grouping
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

MOST_TOGETHER = 64  # answers whose holds end in one round trip


class Holds:
    """The holds of callbacks. `UnitOfWork.hold` sets one together with its callback, `Wanted.holds` loads them."""

    def __init__(self, redis: Redis) -> None:
        """Use the store's client."""
        self._redis = redis
        self._together = Grouping(self._release_all, most=MOST_TOGETHER)

    async def release(self, callback_ids: Sequence[str], *, after_ms: int) -> None:
        """End the holds of these callbacks `after_ms` from now, if they have not ended yet.

        It shares its round trip with what else is released in this iteration of the event loop.
        """
        await self._together.ask((callback_ids, after_ms))

    async def _release_all(self, asked: Sequence[tuple[Sequence[str], int]]) -> list[Exception | None]:
        by_shard: dict[str, dict[str, int]] = {}
        for callback_ids, after_ms in asked:
            for identifier in callback_ids:
                by_shard.setdefault(keys.shard(identifier), {})[keys.hold(identifier)] = after_ms
        calls = [
            ScriptCall(SCRIPTS["release_v1"], tuple(holds), tuple(holds.values()))
            for holds in by_shard.values()
        ]
        await run_many(self._redis, calls)
        return [None] * len(asked)
