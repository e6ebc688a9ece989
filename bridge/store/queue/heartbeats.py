"""Signs of life of workers: without one nothing is polled or sent, and somebody should say so."""

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run

FRESH_MS = 20_000  # a worker beats several times within this


class Heartbeats:
    """Who works; each worker beats under a name of its own."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def beat(self, worker: str, now_ms: int) -> None:
        """Say that a worker is alive; those that have been silent for long are forgotten."""
        call = ScriptCall(SCRIPTS["beat_v1"], (keys.WORKERS,), (worker, now_ms, now_ms - 10 * FRESH_MS))
        await run(self._redis, call)

    async def leave(self, worker: str) -> None:
        """Say that a worker has ended."""
        await self._redis.zrem(keys.WORKERS, worker)

    async def count(self, now_ms: int) -> int:
        """Count the workers that have beaten lately."""
        return int(await self._redis.zcount(keys.WORKERS, now_ms - FRESH_MS, "+inf"))
