"""The jobs of accounts that are read next."""

from collections.abc import Sequence

from redis.asyncio import Redis

from bridge.store import keys


class Upcoming:
    """Looks into the queue of polls without taking anything."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def first(self, lanes: Sequence[tuple[str, str]], *, limit: int) -> list[tuple[str, str, int]]:
        """Return (account, job key, due ms) of the jobs of some (shard, account) that are read next, in one round trip.

        The time is negative while a job is being read; these come first.
        """
        if not lanes:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for shard, account in lanes:
            pipe.zrange(keys.lane(shard, "poll", account), 0, limit - 1, withscores=True)
        found = [
            (account, member.decode(), int(due_ms))
            for (_, account), rows in zip(lanes, await pipe.execute(), strict=True)
            for member, due_ms in rows
        ]
        return sorted(found, key=lambda row: row[2])[:limit]
