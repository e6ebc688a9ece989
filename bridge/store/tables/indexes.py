"""Look-ups that are not by id: a project's callbacks and deliveries newest first, by URL, a job's, what is over."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from bridge.domain.subscriptions.callback import Callback
from bridge.store import keys
from bridge.store.commit import Op, Rank, Unrank

URL_BYTES = 8  # of a fingerprint: enough to find, the callback's record has all of it
STEP = 200


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a list that is sorted newest first: what follows is older."""

    at_ms: int
    id: str

    def text(self) -> str:
        """The cursor as clients carry it."""
        return base64.urlsafe_b64encode(f"{self.at_ms} {self.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Read a cursor that a client brought back; raise `ValueError`."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    place = re.fullmatch(r"(\d{1,14}) ([a-z0-9_]{1,64})", plain)
    if place is None:
        raise ValueError("not a cursor: use next_cursor as the list gave it")
    return Cursor(int(place[1]), place[2])


class Indexes:
    """Ids by place; the records are loaded by whoever asks."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards

    async def callbacks(
        self, project: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Give a project's callbacks, newest first, older than the cursor; each with its own place."""
        return await self._newest(keys.callbacks, project, cursor, limit)

    async def deliveries(
        self, project: str, *, cursor: Cursor | None = None, limit: int = 100
    ) -> list[Cursor]:
        """Give a project's deliveries, likewise."""
        return await self._newest(keys.deliveries, project, cursor, limit)

    async def _newest(
        self, place: Callable[[str, str], str], project: str, cursor: Cursor | None, limit: int
    ) -> list[Cursor]:
        found: list[Cursor] = []
        for shard in self._shards:
            found += await self._older(place(shard, project), cursor, limit)
        return sorted(found, reverse=True)[:limit]

    async def _older(self, key: str, cursor: Cursor | None, limit: int) -> list[Cursor]:
        """Page through one shard; ties with the cursor's own millisecond are told apart by id."""
        found: list[Cursor] = []
        top = "+inf" if cursor is None else cursor.at_ms
        offset, step = 0, max(limit, STEP)
        while len(found) < limit:
            rows = await self._redis.zrevrangebyscore(key, top, "-inf", offset, step, withscores=True)
            places = (Cursor(int(at_ms), identifier.decode()) for identifier, at_ms in rows)
            found += [place for place in places if cursor is None or place < cursor]
            if len(rows) < step:
                break
            offset += step
        return found[:limit]

    async def callbacks_by_url(self, project: str, fingerprint: bytes, *, limit: int = 1000) -> list[str]:
        """Give ids of callbacks whose URL may have this fingerprint: compare the record's own. In no useful order."""
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
        """Go through all callbacks whose URL may have this fingerprint, in steps; likewise."""
        low = fingerprint[:URL_BYTES]
        for shard in self._shards:
            start = b"[" + low
            while rows := await self._redis.zrangebylex(
                keys.urls(shard, project), start, b"(" + low + b"\xff", 0, step
            ):
                yield [row[URL_BYTES:].decode() for row in rows]
                start = b"(" + rows[-1]

    async def count_callbacks(self, project: str) -> int:
        """Count a project's callbacks, closed ones within their retention too."""
        return sum([await self._redis.zcard(keys.callbacks(shard, project)) for shard in self._shards])

    async def job_events(self, key: str) -> list[str]:
        """Give a job's events, oldest first."""
        return [event.decode() for event in await self._redis.zrange(keys.job_events(key), 0, -1)]

    async def job_deliveries(self, key: str) -> list[str]:
        """Give a job's deliveries, oldest first."""
        return [delivery.decode() for delivery in await self._redis.zrange(keys.job_deliveries(key), 0, -1)]

    async def over(self, shard: str, before_ms: int, *, limit: int = STEP) -> list[str]:
        """Give keys of jobs whose retention ended before then."""
        rows = await self._redis.zrangebyscore(keys.ended(shard), "-inf", before_ms, 0, limit)
        return [key.decode() for key in rows]

    async def forget_ended(self, shard: str, key: str) -> None:
        """Take off the list of ended jobs one that has no record any more."""
        await self._redis.zrem(keys.ended(shard), key)


def url_member(callback: Callback) -> bytes:
    """What stands for a callback in its project's index of URLs."""
    return callback.fingerprint[:URL_BYTES] + callback.id.encode()


def rank_callback(project: str, callback: Callback) -> Sequence[Op]:
    """Index a new callback."""
    shard = keys.shard(callback.id)
    return (
        Rank(keys.callbacks(shard, project), callback.id, callback.created_ms),
        Rank(keys.urls(shard, project), url_member(callback), 0),
    )


def unrank_callback(project: str, callback: Callback) -> Sequence[Op]:
    """Take a callback out of its indexes, by the record that has the URL it was ranked with."""
    shard = keys.shard(callback.id)
    return (
        Unrank(keys.callbacks(shard, project), callback.id),
        Unrank(keys.urls(shard, project), url_member(callback)),
    )
