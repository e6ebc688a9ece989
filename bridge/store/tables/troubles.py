"""How many deliveries are in trouble, and whose receivers fail; read from the indexes, never by looking through records."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from bridge.domain.deliveries.records import Delivery, find_trouble
from bridge.store import keys
from bridge.store.commit import Change, Committer, Put
from bridge.store.records import Loaded
from bridge.store.trouble import trouble_keys
from bridge.store.trouble.trouble_marks import remark_delivery

INDEXED: Final = b"1"  # raised when the sweep must build an index that a data directory does not have


class Troubles:
    """The counts of all projects."""

    def __init__(self, redis: Redis, committer: Committer, shards: str) -> None:
        """Take the letters of the shards in use; write with `committer`, so that a full store takes it."""
        self._redis = redis
        self._committer = committer
        self._shards = shards
        self._is_whole = False

    async def count(self, project: str, *, since_ms: int = 0, until_ms: int | None = None) -> dict[str, int]:
        """Return how many deliveries made in a period are `parked`, and how many `failing`, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        most = "+inf" if until_ms is None else until_ms
        for shard in self._shards:
            pipe.zcount(trouble_keys.parked(shard, project), since_ms, most)
            pipe.zcount(trouble_keys.failing(shard, project), since_ms, most)
        found = await pipe.execute()
        return {"parked": sum(found[::2]), "failing": sum(found[1::2])}

    async def count_all(self, projects: Sequence[str]) -> dict[str, int]:
        """Return the same over several projects and all times, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for project in projects:
            for shard in self._shards:
                pipe.zcard(trouble_keys.parked(shard, project))
                pipe.zcard(trouble_keys.failing(shard, project))
        found = await pipe.execute() if projects else []
        return {"parked": sum(found[::2]), "failing": sum(found[1::2])}

    async def receivers(self, project: str, *, most: int) -> list[tuple[str, int]]:
        """Return the origins with most deliveries in trouble, and their numbers.

        With several shards one that is not among the first `most` of some shard may be counted too low.
        """
        pipe = self._redis.pipeline(transaction=False)
        for shard in self._shards:
            pipe.zrevrange(trouble_keys.receivers(shard, project), 0, most - 1, withscores=True)
        counts = Counter[str]()
        for rows in await pipe.execute():
            counts.update({origin.decode(): int(number) for origin, number in rows})
        return counts.most_common(most)

    async def is_whole(self) -> bool:
        """Return whether the indexes have everything: not until the sweep has built them after an upgrade."""
        if not self._is_whole:
            pipe = self._redis.pipeline(transaction=False)
            for shard in self._shards:
                pipe.get(trouble_keys.indexed(shard))
            self._is_whole = all(found == INDEXED for found in await pipe.execute())
        return self._is_whole

    async def note_whole(self, shard: str) -> None:
        """Note that a shard's indexes have everything; a full store takes it too, or it would never be tidied."""
        await self._committer.commit(Change(shard, (), (Put(trouble_keys.indexed(shard), INDEXED),)))

    async def list_anew(self, shard: str, deliveries: Sequence[Loaded[Delivery]]) -> int:
        """List those deliveries of a shard rightly that are not, unless they have changed; return how many."""
        misplaced = await self._find_misplaced(shard, [each.record for each in deliveries])
        changes = [
            Change(shard, (each.guard(keys.delivery(each.record.id)),), (remark_delivery(each.record),))
            for each in deliveries
            if each.record.id in misplaced
        ]
        return sum(result == "done" for result in await self._committer.commit_many(changes))

    async def _find_misplaced(self, shard: str, deliveries: Sequence[Delivery]) -> set[str]:
        pipe = self._redis.pipeline(transaction=False)
        for each in deliveries:
            pipe.zscore(trouble_keys.parked(shard, each.project), each.id)
            pipe.zscore(trouble_keys.failing(shard, each.project), each.id)
        found = await pipe.execute() if deliveries else []
        listed = [
            ("parked" if parked is not None else "failing" if failing is not None else None)
            for parked, failing in zip(found[::2], found[1::2], strict=True)
        ]
        return {
            each.id for each, trouble in zip(deliveries, listed, strict=True) if find_trouble(each) != trouble
        }
