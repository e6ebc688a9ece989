"""Holds: the first delivery of a new callback waits until its registration has been answered."""

from collections.abc import Sequence

from redis.asyncio import Redis

from bridge.store import keys


class Holds:
    """Ends holds. `UnitOfWork.hold` sets them together with the callback, `Wanted.holds` reads them."""

    def __init__(self, redis: Redis) -> None:
        """Use the store's client."""
        self._redis = redis

    async def release(self, callback_ids: Sequence[str], *, after_ms: int) -> None:
        """Let the first deliveries of these callbacks go `after_ms` from now; a hold that has ended stays ended."""
        pipeline = self._redis.pipeline(transaction=False)
        for identifier in callback_ids:
            pipeline.pexpire(keys.hold(identifier), after_ms)
        await pipeline.execute()
