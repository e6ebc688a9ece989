"""Guarded starts: what was written down before a call that starts work was sent, and what became of it.

`UnitOfWork` writes them; here they are found. A start's place is the letter of its account's shard and 32 hex digits: a
keyed hash of project, provider and Idempotency-Key, or random ones for a call without a key.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from redis.asyncio import Redis

from bridge.domain.starts.records import Start
from bridge.store import start_keys
from bridge.store.records import Loaded, UnreadableRecord, log_unreadable, unpack
from bridge.store.vault import Vault

SCAN_COUNT = 500
PLACE_BYTES = 16
FOREVER_MS = 1 << 52


class Starts:
    """The guarded starts of all projects."""

    def __init__(self, redis: Redis) -> None:
        """Take the store's client."""
        self._redis = redis

    async def load(self, place: str) -> Loaded[Start] | None:
        """Read a start; raise `UnreadableRecord`."""
        return _read(await self._redis.get(start_keys.start(place)))

    async def load_and_count(
        self, place: str, project: str, *, now_ms: int
    ) -> tuple[Loaded[Start] | None, int]:
        """Read a start as `load` does, and count those that its project has in the shard."""
        index = start_keys.starts(place[0], project)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.get(start_keys.start(place))
        pipeline.zremrangebyscore(index, "-inf", now_ms)
        pipeline.zcard(index)
        raw, _, count = await pipeline.execute()
        return _read(raw), int(count)

    async def load_due(self, shard: str, *, now_ms: int, count: int) -> dict[str, Loaded[Start] | None]:
        """Return the first `count` open starts that are to be looked at, by place; None for one that has expired.

        One that cannot be read is logged and left out.
        """
        found = await self._redis.zrangebyscore(
            start_keys.open_starts(shard), "-inf", now_ms, start=0, num=count
        )
        places = [place.decode() for place in found]
        raws = await self._redis.mget([start_keys.start(place) for place in places]) if places else []
        due: dict[str, Loaded[Start] | None] = {}
        for place, raw in zip(places, raws, strict=True):
            try:
                due[place] = _read(raw)
            except UnreadableRecord as error:
                log_unreadable("starts", place, error)
        return due

    async def load_open(self, shard: str, *, count: int) -> dict[str, Start]:
        """Return open starts of a shard by place, `count` at most; leave out those that cannot be read."""
        due = await self.load_due(shard, now_ms=FOREVER_MS, count=count)
        return {place: loaded.record for place, loaded in due.items() if loaded is not None}

    async def started_by(self, jobs: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return which start is known to have begun some jobs last, by their keys: its place, and when that was noted.

        The place is empty for a call that was not guarded. What an earlier version noted has no time: 0.
        """
        found = await self._redis.mget([start_keys.started(key) for key in jobs]) if jobs else []
        noted = {key: mark.decode() for key, mark in zip(jobs, found, strict=True) if mark is not None}
        return {
            key: (place, int(at_ms or 0))
            for key, (place, _, at_ms) in ((key, mark.partition(" ")) for key, mark in noted.items())
        }

    async def postpone(self, places: Sequence[str], at_ms: int) -> None:
        """Look at open starts at that time, unless they have left the list."""
        pipeline = self._redis.pipeline(transaction=False)
        for place in places:
            pipeline.zadd(start_keys.open_starts(place[0]), {place: at_ms}, xx=True)
        await pipeline.execute()

    async def close(self, place: str) -> None:
        """Take a start that has expired out of the list of open ones."""
        await self._redis.zrem(start_keys.open_starts(place[0]), place)

    async def forget_expired(self, shard: str, projects: Sequence[str], *, now_ms: int) -> None:
        """Take what has expired out of the projects' indexes."""
        pipeline = self._redis.pipeline(transaction=False)
        for project in projects:
            pipeline.zremrangebyscore(start_keys.starts(shard, project), "-inf", now_ms)
        await pipeline.execute()

    async def scan(self, shard: str) -> AsyncIterator[tuple[str, Loaded[Start]]]:
        """Yield all starts of a shard with their places; log those that cannot be read."""
        async for name in self._redis.scan_iter(match=start_keys.start(f"{shard}*"), count=SCAN_COUNT):
            place = name.decode().rpartition(":")[2]
            try:
                loaded = await self.load(place)
            except UnreadableRecord as error:
                log_unreadable("starts", place, error)
                continue
            if loaded is not None:
                yield place, loaded


def keyed_place(vault: Vault, shard: str, *, project: str, provider: str, key: str) -> str:
    """Return the place of a start with this Idempotency-Key."""
    return shard + vault.fingerprint(f"start\0{project}\0{provider}\0{key}").hex()


def random_place(shard: str, dice: Callable[[int], bytes]) -> str:
    """Return a place for a start without a key."""
    return shard + dice(PLACE_BYTES).hex()


def _read(raw: bytes | None) -> Loaded[Start] | None:
    return None if raw is None else Loaded(unpack(Start, raw), raw)
