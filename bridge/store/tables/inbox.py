"""The built-in inbox of a project: the last hundred deliveries to `inbox:`, for trying out."""

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run

CAPACITY = 100


class Inbox:
    """Deliveries as the receiver would have seen them, newest first."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def add(self, project: str, entry: bytes) -> None:
        """Put an entry on top, the same one only once; the hundred-and-first falls out."""
        await run(self._redis, ScriptCall(SCRIPTS["inbox_v1"], (keys.inbox(project),), (entry, CAPACITY)))

    async def list(self, project: str, limit: int = CAPACITY) -> list[bytes]:
        """Give the newest entries."""
        found = self._redis.lrange(keys.inbox(project), 0, limit - 1)
        return list(await found)  # type: ignore[misc]  # redis-py types both clients at once
