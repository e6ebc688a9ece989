"""Holds: the first delivery of a new callback waits until its registration has been answered."""

from collections.abc import Sequence

from redis.asyncio import Redis

from bridge.store import keys


class Holds:
    """The holds of callbacks. `UnitOfWork.hold` sets one together with its callback, `Wanted.holds` loads them."""

    def __init__(self, redis: Redis) -> None:
        """Use the store's client."""
        self._redis = redis

    async def release(self, callback_ids: Sequence[str], *, after_ms: int) -> None:
        """End the holds of these callbacks `after_ms` from now, if they have not ended yet."""
        pipeline = self._redis.pipeline(transaction=False)
        for identifier in callback_ids:
            pipeline.pexpire(keys.hold(identifier), after_ms)
        await pipeline.execute()
