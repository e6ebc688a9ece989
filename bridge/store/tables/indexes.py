"""Indexes of callbacks, deliveries, events and ended jobs."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from bridge.domain.events.records import EventRecord
from bridge.domain.subscriptions.callback import Callback
from bridge.store import endpoint_keys, keys
from bridge.store.commit import Op, Rank, Unrank
from bridge.store.trouble import trouble_keys

URL_BYTES = 8  # of a fingerprint; the callback's record has all of it, for comparison
STEP = 200
TROUBLES: Final[Mapping[str, Callable[[str, str], str]]] = {
    "parked": trouble_keys.parked,
    "failing": trouble_keys.failing,
}


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A position in a list that is sorted newest first."""

    at_ms: int
    id: str

    def text(self) -> str:
        """Return the cursor as clients get it."""
        return base64.urlsafe_b64encode(f"{self.at_ms} {self.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Parse a client's cursor; raise `ValueError`."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    place = re.fullmatch(r"(\d{1,14}) ([a-z0-9_]{0,64})", plain)
    if place is None:
        raise ValueError("not a cursor: use next_cursor as the list gave it")
    return Cursor(int(place[1]), place[2])


def list_event(key: str, event: EventRecord) -> Op:
    """Return the operation that lists an event of another job under this one, whose callbacks get it too."""
    return Rank(keys.job_events(key), event.id, event.at_ms)


class Indexes:
    """The indexes; they contain ids, whose records the caller loads."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards

    async def callbacks(
        self, project: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Return a project's callbacks older than the cursor, newest first, each with its own position."""
        return await self._newest(keys.callbacks, project, cursor, limit)

    async def deliveries(
        self, project: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Return a project's deliveries in the same way."""
        return await self._newest(keys.deliveries, project, cursor, limit)

    async def deliveries_in_trouble(
        self, project: str, troubles: Collection[str], *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Return those of a project's deliveries that are `parked` or `failing`, likewise."""
        found: list[Cursor] = []
        for trouble in troubles:
            found += await self._newest(TROUBLES[trouble], project, cursor, limit)
        return sorted(found, reverse=True)[:limit]

    async def count_deliveries(self, project: str, since_ms: int, until_ms: int | None) -> int:
        """Return the number of a project's deliveries that were made in a period."""
        most = "+inf" if until_ms is None else until_ms
        return sum(
            [
                await self._redis.zcount(keys.deliveries(shard, project), since_ms, most)
                for shard in self._shards
            ]
        )

    async def deliveries_of_job(
        self, key: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Return a job's deliveries, likewise."""
        return await self._older(keys.job_deliveries(key), cursor, limit)

    async def deliveries_of_endpoint(
        self, endpoint: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Return an endpoint's deliveries, likewise."""
        return await self._newest(endpoint_keys.deliveries, endpoint, cursor, limit)

    async def _newest(
        self, place: Callable[[str, str], str], project: str, cursor: Cursor | None, limit: int
    ) -> list[Cursor]:
        found: list[Cursor] = []
        for shard in self._shards:
            found += await self._older(place(shard, project), cursor, limit)
        return sorted(found, reverse=True)[:limit]

    async def _older(self, key: str, cursor: Cursor | None, limit: int) -> list[Cursor]:
        """Return one shard's part of a page: what follows the cursor's own entry, where that is there."""
        rank = -1 if cursor is None else await self._redis.zrevrank(key, cursor.id)
        if cursor is not None and rank is None:
            return await self._scan_older(key, cursor, limit)
        rows = await self._redis.zrevrange(key, rank + 1, rank + limit, withscores=True)
        return [Cursor(int(at_ms), identifier.decode()) for identifier, at_ms in rows]

    async def _scan_older(self, key: str, cursor: Cursor, limit: int) -> list[Cursor]:
        """Return the same for a cursor whose entry is gone, or another shard's: ids decide within its millisecond."""
        found: list[Cursor] = []
        offset, step = 0, max(limit, STEP)
        while len(found) < limit:
            rows = await self._redis.zrevrangebyscore(
                key, cursor.at_ms, "-inf", offset, step, withscores=True
            )
            places = (Cursor(int(at_ms), identifier.decode()) for identifier, at_ms in rows)
            found += [place for place in places if place < cursor]
            if len(rows) < step:
                break
            offset += step
        return found[:limit]

    async def callbacks_by_url(self, project: str, fingerprint: bytes, *, limit: int = 1000) -> list[str]:
        """Return ids of callbacks whose URL may have this fingerprint, unsorted; compare it with the record's."""
        found: list[str] = []
        low = fingerprint[:URL_BYTES]
        for shard in self._shards:
            rows = await self._redis.zrangebylex(
                keys.urls(shard, project), b"[" + low, b"(" + low + b"\xff", 0, limit - len(found)
            )
            found += [row[URL_BYTES:].decode() for row in rows]
        return found

    async def all_callbacks_by_url(
        self, project: str, fingerprint: bytes, *, step: int = STEP
    ) -> AsyncIterator[list[str]]:
        """Yield the same for all such callbacks, in steps."""
        low = fingerprint[:URL_BYTES]
        for shard in self._shards:
            start = b"[" + low
            while rows := await self._redis.zrangebylex(
                keys.urls(shard, project), start, b"(" + low + b"\xff", 0, step
            ):
                yield [row[URL_BYTES:].decode() for row in rows]
                start = b"(" + rows[-1]

    async def count_callbacks(self, project: str) -> int:
        """Return the number of a project's callbacks, including closed ones within their retention."""
        return sum([await self._redis.zcard(keys.callbacks(shard, project)) for shard in self._shards])

    async def job_events(self, key: str, *, limit: int | None = None) -> list[str]:
        """Return the ids of a job's events, oldest first; the first ones, if there is a limit."""
        return await self._first(keys.job_events(key), 0, limit)

    async def _first(self, key: str, start: int, limit: int | None) -> list[str]:
        rows = await self._redis.zrange(key, start, -1 if limit is None else start + limit - 1)
        return [row.decode() for row in rows]

    async def latest_job_events(self, key: str, count: int) -> list[str]:
        """Return the ids of a job's last events, oldest first."""
        return [event.decode() for event in await self._redis.zrange(keys.job_events(key), -count, -1)]

    async def events_of_jobs(self, jobs: Sequence[str]) -> list[str]:
        """Return the events of several jobs in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for key in jobs:
            pipe.zrange(keys.job_events(key), 0, -1)
        return [event.decode() for events in await pipe.execute() for event in events] if jobs else []

    async def job_deliveries(self, key: str, *, start: int = 0, limit: int | None = None) -> list[str]:
        """Return the ids of a job's deliveries, oldest first; some of them, if there is a limit."""
        return await self._first(keys.job_deliveries(key), start, limit)

    async def over(self, shard: str, before_ms: int, *, limit: int = STEP) -> list[str]:
        """Return keys of jobs whose retention ended before that time."""
        rows = await self._redis.zrangebyscore(keys.ended(shard), "-inf", before_ms, 0, limit)
        return [key.decode() for key in rows]

    async def forget_ended(self, shard: str, key: str) -> None:
        """Remove a job that has no record from the ended jobs."""
        await self._redis.zrem(keys.ended(shard), key)


def url_member(callback: Callback) -> bytes:
    """Return a callback's member in its project's index of URLs."""
    return callback.fingerprint[:URL_BYTES] + callback.id.encode()


def rank_callback(project: str, callback: Callback) -> Sequence[Op]:
    """Return the writes that index a new callback."""
    shard = keys.shard(callback.id)
    return (
        Rank(keys.callbacks(shard, project), callback.id, callback.created_ms),
        Rank(keys.urls(shard, project), url_member(callback), 0),
    )


def unrank_callback(project: str, callback: Callback) -> Sequence[Op]:
    """Return the writes that remove a callback from its indexes; its record must have the URL that was indexed."""
    shard = keys.shard(callback.id)
    return (
        Unrank(keys.callbacks(shard, project), callback.id),
        Unrank(keys.urls(shard, project), url_member(callback)),
    )
