"""How many bytes the job records of each project have; `UnitOfWork` counts with each write, the sweep counts anew."""

from collections.abc import Mapping

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.commit import Change, Committer, Put


class JobBytes:
    """Counters by shard and project."""

    def __init__(self, redis: Redis, committer: Committer, shards: str) -> None:
        """Take the letters of the shards in use; write with `committer`, so that a full store takes it."""
        self._redis = redis
        self._committer = committer
        self._shards = shards

    async def total(self, project: str) -> int:
        """Return the bytes of a project in all shards, about: a crash of an older version may have kept some out."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in self._shards:
            pipeline.get(keys.job_bytes(shard, project))
        return max(0, sum(int(found or 0) for found in await pipeline.execute()))

    async def correct(self, shard: str, counted: Mapping[str, int]) -> None:
        """Replace a shard's counters by what was counted, by project."""
        for project, count in counted.items():
            await self._committer.commit(
                Change(shard, (), (Put(keys.job_bytes(shard, project), b"%d" % count),))
            )
