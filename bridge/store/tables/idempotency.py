"""Requests with an Idempotency-Key and their answers, kept for 24 hours."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.store import keys
from bridge.store.commit import Change, Committer, Guard, Put
from bridge.store.errors import StoreFull
from bridge.store.records import UnreadableRecord, log_unreadable, pack, unpack
from bridge.store.scripts import SCRIPTS, ScriptCall, run
from bridge.store.vault import Vault, VaultError

DAY_MS = 24 * 3600 * 1000
# Longer than any request takes; a process that died must not block its client for a day.
UNFINISHED_MS = 60_000
HOUR_MS = 3_600_000
COUNTED_HOURS = 24  # beside the hour that runs: then every answer counted before has expired
KEY_BYTES = 100  # what the store needs for an answer beside its key and value
SCAN_COUNT = 500


class _Entry(Struct, frozen=True, array_like=True):
    fingerprint: bytes
    token: bytes
    answer: bytes | None = None  # sealed
    name: bytes | None = None  # the client's key, sealed: without it the answer could not be sealed anew


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

    def __init__(
        self, redis: Redis, *, clock_ms: Callable[[], int], dice: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take the store's client."""
        self._redis = redis
        self._clock_ms = clock_ms
        self._committer = Committer(redis, aof=False)
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

    async def finish(self, project: str, key: str, answer: bytes, name: bytes | None = None) -> None:
        """Keep the answer for 24 hours, unless the claim has run out meanwhile or the store is full.

        `answer` and `name` are sealed by `seal_answer`. Without its answer a repetition does the work again.
        """
        place = _place(project, key)
        raw = await self._redis.get(place)
        if raw is None:
            return
        found = unpack(_Entry, raw)
        packed = pack(_Entry(found.fingerprint, found.token, answer, name))
        hour = self._clock_ms() // HOUR_MS
        taken = len(place) + len(packed) + KEY_BYTES
        args = (packed, DAY_MS, hour, taken, hour - COUNTED_HOURS, (COUNTED_HOURS + 1) * HOUR_MS)
        with suppress(StoreFull):
            await run(self._redis, ScriptCall(SCRIPTS["answer_v1"], (place, keys.answers(project)), args))

    async def count_bytes(self, project: str, taken: int) -> None:
        """Count the bytes of an answer that is kept for a day elsewhere; a full store counts nothing."""
        hour, counters = self._clock_ms() // HOUR_MS, keys.answers(project)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hincrby(counters, str(hour), taken + KEY_BYTES)
        pipeline.pexpire(counters, (COUNTED_HOURS + 1) * HOUR_MS)
        with suppress(OutOfMemoryError):
            await pipeline.execute()

    async def total(self, project: str) -> int:
        """Return the bytes of a project's kept answers, and of those that expired in the last hour."""
        counted = await self._redis.hgetall(keys.answers(project))  # type: ignore[misc]  # redis-py types both clients at once
        return count_kept(counted, now_ms=self._clock_ms())

    async def reseal(self, vault: Vault) -> Sequence[bytes]:
        """Seal all answers with the first master key; return them as they are stored then, opened or not."""
        found = []
        async for name in self._redis.scan_iter(match=keys.idempotency("*", "*"), count=SCAN_COUNT):
            place = name.decode()
            raw = await self._redis.get(place)
            try:
                entry = None if raw is None else unpack(_Entry, raw)
            except UnreadableRecord as error:
                log_unreadable("idempotency", place, error)
                continue
            if entry is None or entry.answer is None:
                continue
            fresh = _reseal(vault, place, entry)
            if fresh != entry:
                # A repetition may end the claim and begin another meanwhile: only what was read is replaced.
                left_ms = await self._redis.pttl(place)
                change = Change("g", (Guard(place, raw),), (Put(place, pack(fresh), px=max(1, left_ms)),))
                entry = fresh if await self._committer.commit(change) == "done" else entry
            found.append(entry.answer or b"")
        return found

    async def abandon(self, project: str, key: str) -> None:
        """Release a key whose request failed, so that the client may repeat it at once."""
        await self._redis.delete(_place(project, key))


def count_kept(by_hour: Mapping[bytes, bytes], *, now_ms: int) -> int:
    """Add up counted bytes, by the hour since 1970 in which they were kept; leave out hours that are over."""
    oldest = now_ms // HOUR_MS - COUNTED_HOURS
    return sum(int(taken) for hour, taken in by_hour.items() if int(hour) >= oldest)


def seal_answer(vault: Vault, project: str, key: str, answer: bytes) -> tuple[bytes, bytes]:
    """Return an answer and the client's key as they are stored; the answer opens with the same project and key."""
    sealed = vault.seal(answer, record=_record(project, key))
    return sealed, vault.seal(key.encode(), record=_place(project, key))


def open_answer(vault: Vault, project: str, key: str, sealed: bytes) -> bytes:
    """Return a stored answer in clear; raise `VaultError`."""
    return vault.open(sealed, record=_record(project, key))


def _reseal(vault: Vault, place: str, entry: _Entry) -> _Entry:
    """Return the entry under the first key; what does not open stays, as do answers of 0.1.0, which bring no name."""
    if entry.answer is None or entry.name is None or not vault.needs_reseal(entry.answer):
        return entry
    try:
        key = vault.open(entry.name, record=place).decode()
        project = place[len("{p:") : place.index("}")]
        answer = vault.reseal(entry.answer, record=_record(project, key))
        return _Entry(entry.fingerprint, entry.token, answer, vault.reseal(entry.name, record=place))
    except (VaultError, UnicodeDecodeError):
        return entry


def _record(project: str, key: str) -> str:
    return f"idempotency {project} {key}"


def _place(project: str, key: str) -> str:
    return keys.idempotency(project, hashlib.sha256(key.encode()).hexdigest()[:32])
