"""Iterate over all records of a shard, in pages, without blocking the store."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis

from bridge.store import keys


class Scan:
    """Iteration by Redis's SCAN: an id that is written meanwhile may come twice or not at all."""

    def __init__(self, redis: Redis) -> None:
        """Use the store's client."""
        self._redis = redis

    async def jobs(self, shard: str, *, count: int) -> AsyncIterator[list[str]]:
        """Yield the keys of a shard's jobs, about `count` at a time."""
        async for page in self._pages(keys.job(f"{shard}*"), count):
            yield page

    async def deliveries(self, shard: str, *, count: int) -> AsyncIterator[list[str]]:
        """Yield the ids of a shard's deliveries, about `count` at a time."""
        async for page in self._pages(keys.delivery(f"dlv_{shard}*"), count):
            yield page

    async def _pages(self, pattern: str, count: int) -> AsyncIterator[list[str]]:
        page: list[str] = []
        async for name in self._redis.scan_iter(match=pattern, count=count):
            page.append(name.decode().rpartition(":")[2])
            if len(page) >= count:
                yield page
                page = []
        if page:
            yield page
