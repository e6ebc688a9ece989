"""The jobs of accounts that are read next, and those that should end next."""

from collections.abc import Callable, Mapping, Sequence

from redis.asyncio import Redis

from bridge.domain.jobs.records import Job
from bridge.store import keys
from bridge.store.commit import Change, Committer, Rank, Unrank
from bridge.store.records import Loaded

Place = tuple[str, str]  # a shard and an account


class Upcoming:
    """Looks into the queue of polls, and into the index of expected ends, without taking anything."""

    def __init__(self, redis: Redis, committer: Committer) -> None:
        """Take the store's client; write with `committer`, so that a full store takes it."""
        self._redis = redis
        self._committer = committer

    async def first(self, places: Sequence[Place], *, limit: int) -> list[tuple[str, str, int]]:
        """Return (account, job key, due ms) of the jobs of accounts that are read next, in one round trip.

        The time is negative while a job is being read; these come first.
        """
        return await self._first(lambda shard, account: keys.lane(shard, "poll", account), places, limit)

    async def first_expected(self, places: Sequence[Place], *, limit: int) -> list[tuple[str, str, int]]:
        """Return (account, job key, ms) of the running jobs that are late longest, or will be soonest.

        The time is when nine in ten jobs like it would have ended.
        """
        return await self._first(keys.expected, places, limit)

    async def _first(
        self, index: Callable[[str, str], str], places: Sequence[Place], limit: int
    ) -> list[tuple[str, str, int]]:
        if not places:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for place in places:
            pipe.zrange(index(*place), 0, limit - 1, withscores=True)
        found = [
            (account, member.decode(), int(at_ms))
            for (_, account), rows in zip(places, await pipe.execute(), strict=True)
            for member, at_ms in rows
        ]
        return sorted(found, key=lambda row: row[2])[:limit]

    async def count_late(self, places: Sequence[Place], *, now_ms: int) -> int:
        """Return how many running jobs of accounts are late."""
        pipe = self._redis.pipeline(transaction=False)
        for place in places:
            pipe.zcount(keys.expected(*place), "-inf", now_ms)
        return sum(await pipe.execute()) if places else 0

    async def expected_ms(self, jobs: Sequence[tuple[str, str]]) -> list[int | None]:
        """Return of each (account, job key) when it is late, None where it does not run."""
        pipe = self._redis.pipeline(transaction=False)
        for account, key in jobs:
            pipe.zscore(keys.expected(key[0], account), key)
        found = await pipe.execute() if jobs else []
        return [None if at_ms is None else int(at_ms) for at_ms in found]

    async def expect_anew(self, shard: str, jobs: Mapping[str, tuple[Loaded[Job], int | None]]) -> int:
        """List jobs by when they are late, None: not at all, where they are not; return how many.

        One whose record has changed meanwhile is left alone.
        """
        listed = await self.expected_ms([(job.record.account, key) for key, (job, _) in jobs.items()])
        changes = [
            _expect(shard, key, job, at_ms)
            for (key, (job, at_ms)), known in zip(jobs.items(), listed, strict=True)
            if (known is None) != (at_ms is None)
        ]
        return sum(result == "done" for result in await self._committer.commit_many(changes))


def _expect(shard: str, key: str, job: Loaded[Job], at_ms: int | None) -> Change:
    index = keys.expected(shard, job.record.account)
    op = Unrank(index, key) if at_ms is None else Rank(index, key, at_ms)
    return Change(shard, (job.guard(keys.job(key)),), (op,))
