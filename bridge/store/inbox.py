"""The built-in inbox of a project: the last hundred deliveries to `inbox:`, for trying out."""

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.store import keys
from bridge.store.scripts import StoreFull

CAPACITY = 100


class Inbox:
    """Deliveries as the receiver would have seen them, newest first."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def add(self, project: str, entry: bytes) -> None:
        """Put an entry on top; the hundred-and-first falls out. Raise `StoreFull` at the memory limit."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.lpush(keys.inbox(project), entry)
        pipe.ltrim(keys.inbox(project), 0, CAPACITY - 1)
        try:
            await pipe.execute()
        except OutOfMemoryError:
            raise StoreFull from None

    async def list(self, project: str, limit: int = CAPACITY) -> list[bytes]:
        """Give the newest entries."""
        found = self._redis.lrange(keys.inbox(project), 0, limit - 1)
        return list(await found)  # type: ignore[misc]  # redis-py types both clients at once
