"""Walk through all records of a shard, in pages, without holding the store up."""

from collections.abc import AsyncIterator

from redis.asyncio import Redis

from bridge.store import keys


async def scan_jobs(redis: Redis, shard: str, *, count: int) -> AsyncIterator[list[str]]:
    """Give the keys of a shard's jobs in pages; one that is written meanwhile may come twice or not at all."""
    async for page in _scan(redis, keys.job(f"{shard}*"), count):
        yield page


async def scan_deliveries(redis: Redis, shard: str, *, count: int) -> AsyncIterator[list[str]]:
    """Give the ids of a shard's deliveries, likewise."""
    async for page in _scan(redis, keys.delivery(f"dlv_{shard}*"), count):
        yield page


async def _scan(redis: Redis, pattern: str, count: int) -> AsyncIterator[list[str]]:
    page: list[str] = []
    async for name in redis.scan_iter(match=pattern, count=count):
        page.append(name.decode().rpartition(":")[2])
        if len(page) >= count:
            yield page
            page = []
    if page:
        yield page
