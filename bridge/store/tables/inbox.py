"""The built-in inbox of each project: the last hundred deliveries to `inbox:`, of 1 MiB together."""

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run

CAPACITY = 100
MAX_BYTES = 1 << 20  # a larger newest entry stays all the same


class Inbox:
    """The inboxes of all projects, newest deliveries first."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def add(self, project: str, entry: bytes) -> None:
        """Add an entry, if it is not there yet, and drop the oldest ones beyond the capacity and the bytes."""
        args = (entry, CAPACITY, MAX_BYTES)
        await run(self._redis, ScriptCall(SCRIPTS["inbox_v2"], (keys.inbox(project),), args))

    async def list(self, project: str, limit: int = CAPACITY) -> list[bytes]:
        """Return the newest entries."""
        found = self._redis.lrange(keys.inbox(project), 0, limit - 1)
        return list(await found)  # type: ignore[misc]  # redis-py types both clients at once
