"""Requests with an Idempotency-Key and their answers, kept for 24 hours."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.store import keys
from bridge.store.errors import StoreFull
from bridge.store.records import pack, unpack

DAY_MS = 24 * 3600 * 1000
# Longer than any request takes; a process that died must not block its client for a day.
UNFINISHED_MS = 60_000


class _Entry(Struct, frozen=True, array_like=True):
    fingerprint: bytes
    token: bytes
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class New:
    """The key is new: do the request, then call `finish`."""


@dataclass(frozen=True, slots=True)
class Same:
    """The same request came before; `answer` is None while it is still being answered."""

    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Other:
    """The key was used for a different request."""


class Idempotency:
    """The requests of all projects by their Idempotency-Key."""

    def __init__(self, redis: Redis, *, dice: Callable[[int], bytes] = os.urandom) -> None:
        """Take the store's client."""
        self._redis = redis
        self._dice = dice

    async def begin(self, project: str, key: str, fingerprint: bytes) -> New | Same | Other:
        """Claim a key for a request with this fingerprint; raise `StoreFull` at the memory limit."""
        mine = _Entry(fingerprint, self._dice(8))
        try:
            raw = await self._redis.set(_place(project, key), pack(mine), nx=True, px=UNFINISHED_MS, get=True)
        except OutOfMemoryError:
            raise StoreFull from None
        if raw is None:
            return New()
        found = unpack(_Entry, raw)
        if found.fingerprint != fingerprint:
            return Other()
        # A command that is sent again after a broken connection finds its own entry.
        return New() if found.token == mine.token else Same(found.answer)

    async def finish(self, project: str, key: str, answer: bytes) -> None:
        """Save the answer for 24 hours, unless the claim has expired."""
        place = _place(project, key)
        raw = await self._redis.get(place)
        if raw is not None:
            found = unpack(_Entry, raw)
            entry = _Entry(found.fingerprint, found.token, answer)
            await self._redis.set(place, pack(entry), xx=True, px=DAY_MS)

    async def abandon(self, project: str, key: str) -> None:
        """Release a key whose request failed, so that the client may repeat it at once."""
        await self._redis.delete(_place(project, key))


def _place(project: str, key: str) -> str:
    return keys.idempotency(project, hashlib.sha256(key.encode()).hexdigest()[:32])
