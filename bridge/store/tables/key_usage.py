"""What the last count of all records found: what each master key seals, what cannot be read; and the request for another."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.commit import Change, Committer, Put
from bridge.store.records import UnreadableRecord, log_unreadable, pack, unpack
from bridge.store.vault import sealing_key


class KeyUsage(Struct, frozen=True, array_like=True, kw_only=True):
    """The numbers of sealed values by key id and noun, such as {"3f1c09aa": {"callbacks": 12}}.

    `unreadable` are the numbers of records that exist and cannot be read, by table; tables without any are left out.
    """

    counted_ms: int
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)


class KeyCounter:
    """Counts sealed values by key and noun, and the records that cannot be read by table."""

    def __init__(self, memo: Sequence[dict[str, Any]] | None = None) -> None:
        """Go on from what `memo` returned; None: from nothing."""
        held, unreadable = memo or ({}, {})
        self._held: dict[str, Counter[str]] = {key_id: Counter(counts) for key_id, counts in held.items()}
        self._unreadable: Counter[str] = Counter(unreadable)

    def memo(self) -> Sequence[dict[str, Any]]:
        """Return what was counted so far, for another process to go on from."""
        return [{key_id: dict(held) for key_id, held in self._held.items()}, dict(self._unreadable)]

    def note(self, noun: str, sealed: Iterable[bytes | None]) -> None:
        """Count one object, once for each key that sealed a part of it."""
        for key_id in {sealing_key(value) for value in sealed if value}:
            self._held.setdefault(key_id, Counter())[noun] += 1

    def note_unreadable(self, table: str, count: int) -> None:
        """Count so many records of a table that cannot be read."""
        if count:
            self._unreadable[table] += count

    def usage(self, now_ms: int) -> KeyUsage:
        """Return what was counted."""
        held = {key_id: dict(held) for key_id, held in self._held.items()}
        return KeyUsage(counted_ms=now_ms, held=held, unreadable=dict(self._unreadable))


class KeyUsageTable:
    """Keeps the last count, and the request for the next one."""

    def __init__(self, redis: Redis, committer: Committer) -> None:
        """Write with `committer`, so that a full store takes it."""
        self._redis = redis
        self._committer = committer

    async def request_count(self) -> None:
        """Ask the workers to reseal what an old key sealed, and to count again."""
        await self._committer.commit(Change("g", (), (Put(keys.RESEAL, b"1"),)))

    async def is_requested(self) -> bool:
        """Return whether somebody has asked."""
        return await self._redis.get(keys.RESEAL) is not None

    async def take_request(self) -> None:
        """Note that what somebody has asked for will be done."""
        await self._redis.delete(keys.RESEAL)

    async def save(self, usage: KeyUsage) -> None:
        """Keep a count."""
        await self._committer.commit(Change("g", (), (Put(keys.KEY_USAGE, pack(usage)),)))

    async def load(self) -> KeyUsage | None:
        """Return the last count, None before the first one, and where it cannot be read."""
        raw = await self._redis.get(keys.KEY_USAGE)
        try:
            return None if raw is None else unpack(KeyUsage, raw)
        except UnreadableRecord as error:
            log_unreadable("key_usage", keys.KEY_USAGE, error)
            return None
