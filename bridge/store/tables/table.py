"""Small tables of the whole installation, each a hash of records, which are written by compare-and-set."""

import base64
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.durable import DurableScripts
from bridge.store.records import Loaded, UnreadableRecord, log_unreadable, pack, unpack
from bridge.store.scripts import SCRIPTS, ScriptCall

R = TypeVar("R", bound=Struct)
Dice = Callable[[int], bytes]
SCAN_COUNT = 500
TOUCHED = keys.touched("g")  # beside the tables
SWAP = SCRIPTS["swap_v1"]
SWAP_WHEN_FULL = SWAP.accepted_when_full()


class Table(Generic[R]):
    """A hash of records by id."""

    def __init__(
        self, redis: Redis, name: str, kind: type[R], *, durable: DurableScripts | None = None
    ) -> None:
        """Take the hash's key and its records' type; with `durable` changes are on disk when they return."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._name = name
        self._kind = kind
        self._durable = durable or DurableScripts(redis, aof=False)

    async def get(self, field: str | bytes) -> R | None:
        """Return a record, None if it does not exist."""
        found = await self.load(field)
        return found.record if found else None

    async def load(self, field: str | bytes) -> Loaded[R] | None:
        """Return a record with its bytes, for changing it."""
        raw = await self._redis.hget(self._name, field)
        return Loaded(unpack(self._kind, raw), raw) if raw is not None else None

    async def all(self) -> dict[bytes, R]:
        """Return all records that can be read; log and skip the others."""
        found, _ = await self._read_all()
        return found

    async def some(self, fields: Sequence[str]) -> dict[str, R]:
        """Return those of some records that exist and can be read."""
        raws = await self._redis.hmget(self._name, fields) if fields else ()
        found = {
            field: self._unpack_readable(field, raw)
            for field, raw in zip(fields, raws, strict=True)
            if raw is not None
        }
        return {field: record for field, record in found.items() if record is not None}

    async def count_unreadable(self) -> int:
        """Return how many records exist and cannot be read."""
        _, unreadable = await self._read_all()
        return unreadable

    async def _read_all(self) -> tuple[dict[bytes, R], int]:
        found: dict[bytes, R] = {}
        unreadable: set[bytes] = set()
        # In steps, since a large table would hold the event loop for long.
        async for field, raw in self._redis.hscan_iter(self._name, count=SCAN_COUNT):
            record = self._unpack_readable(field, raw)
            if record is None:
                unreadable.add(field)
            else:
                found[field] = record
        return found, len(unreadable)

    def _unpack_readable(self, field: str | bytes, raw: bytes) -> R | None:
        try:
            return unpack(self._kind, raw)
        except UnreadableRecord as error:
            log_unreadable(self._name, _show(field), error)
            return None

    async def readable(self) -> AsyncIterator[tuple[str, Loaded[R]]]:
        """Yield the ids and records, each one as it is when its turn comes; log and skip those that are unreadable."""
        for field in await self._redis.hkeys(self._name):
            name = _show(field)
            try:
                loaded = await self.load(field)
            except UnreadableRecord as error:
                log_unreadable(self._name, name, error)
                continue
            if loaded is not None:
                yield name, loaded

    async def swap(
        self, field: str | bytes, former: bytes | None, record: R, *, new_work: bool = True
    ) -> bool:
        """Write a record if its bytes are still `former` (None: absent); return whether it was written.

        New work is refused at the store's memory limit: raise `StoreFull`. What accepted work needs, or what takes no
        more memory than before, is written there too. Raise `StoreNotDurable` if the disk does not confirm in time.
        """
        script = SWAP if new_work else SWAP_WHEN_FULL
        args = (field, former or b"", pack(record))
        call = ScriptCall(script, (self._name,), args)
        return bool(await self._durable.run(call, touched=TOUCHED, new_work=new_work) == b"done")

    async def remove(self, field: str | bytes) -> bool:
        """Remove a record; return whether there was one."""
        removed = bool(await self._redis.hdel(self._name, field))
        await self._durable.confirm(TOUCHED)
        return removed


def _show(field: str | bytes) -> str:
    """Return an id as text; of the hash of an API key only the beginning."""
    if isinstance(field, str):
        return field
    return field.decode() if field.isascii() else field.hex()[:16]


def draw_id(prefix: str, dice: Dice = os.urandom) -> str:
    """Return a new id: the prefix and 80 random bits."""
    return prefix + base64.b32encode(dice(10)).decode().lower()
