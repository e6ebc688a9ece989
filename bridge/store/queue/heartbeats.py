"""Heartbeats of processes, which show whether anything is polled and delivered, and who may still send a start."""

from typing import Final

from redis.asyncio import Redis

from bridge.store import endpoint_keys, keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

WORKERS = keys.WORKERS
APIS = keys.APIS
FRESH_MS: Final = 20_000  # a process sends several heartbeats in this time


class Heartbeats:
    """Processes of one sort and the times of their last heartbeats."""

    def __init__(self, redis: Redis, key: str) -> None:
        """Take the store's client, and where these processes are listed."""
        self._redis = redis
        self._key = key

    async def beat(self, process: str, now_ms: int) -> None:
        """Record a process's heartbeat; remove processes that have been silent for long."""
        args = (process, now_ms, now_ms - 10 * FRESH_MS)
        # In this order: nobody is to find a process that does not know groups, as those of earlier versions do not.
        names = (endpoint_keys.knowing(self._key), self._key)
        await run_many(self._redis, [ScriptCall(SCRIPTS["beat_v1"], (name,), args) for name in names])

    async def leave(self, process: str) -> None:
        """Remove a process that has ended."""
        await self._redis.zrem(self._key, process)
        await self._redis.zrem(endpoint_keys.knowing(self._key), process)

    async def count(self, now_ms: int) -> int:
        """Return the number of processes with a recent heartbeat."""
        return int(await self._redis.zcount(self._key, now_ms - FRESH_MS, "+inf"))

    async def newest_ms(self) -> int | None:
        """Return when the last heartbeat of any process came, None if none came for long."""
        found = await self._redis.zrevrange(self._key, 0, 0, withscores=True)
        return int(found[0][1]) if found else None

    async def count_without_groups(self, now_ms: int) -> int:
        """Return the number of these processes whose version does not know endpoints or groups."""
        beating, knowing = [
            set(await self._redis.zrangebyscore(name, now_ms - FRESH_MS, "+inf"))
            for name in (self._key, endpoint_keys.knowing(self._key))
        ]
        return len(beating - knowing)

    async def last_ms(self, process: str) -> int:
        """Return when a process sent its last heartbeat, 0 if it has left or was silent for long."""
        return int(await self._redis.zscore(self._key, process) or 0)
