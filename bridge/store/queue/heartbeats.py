"""Heartbeats of workers, which show whether anything is polled and delivered at all."""

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run

FRESH_MS = 20_000  # a worker sends several heartbeats in this time


class Heartbeats:
    """The workers and the times of their last heartbeats."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def beat(self, worker: str, now_ms: int) -> None:
        """Record a worker's heartbeat; remove workers that have been silent for long."""
        call = ScriptCall(SCRIPTS["beat_v1"], (keys.WORKERS,), (worker, now_ms, now_ms - 10 * FRESH_MS))
        await run(self._redis, call)

    async def leave(self, worker: str) -> None:
        """Remove a worker that has ended."""
        await self._redis.zrem(keys.WORKERS, worker)

    async def count(self, now_ms: int) -> int:
        """Return the number of workers with a recent heartbeat."""
        return int(await self._redis.zcount(keys.WORKERS, now_ms - FRESH_MS, "+inf"))
