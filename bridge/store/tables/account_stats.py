"""Statistics of accounts: how long their jobs take, and where their lists show them.

They are written without a condition: a worker may overwrite what another has just added, which is then observed again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.domain.polling.durations import BINS, DurationTable
from bridge.domain.polling.list_pages import ListStats
from bridge.store import keys

# Names of hash fields, which must stay as earlier versions wrote them.
DURATIONS, LIST = "lives", "list:"
T = TypeVar("T")
KEPT_MS = 30 * 86_400_000
_durations = msgspec.msgpack.Decoder(Mapping[str, DurationTable])
_list = msgspec.msgpack.Decoder(ListStats)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStats:
    """Durations by category of jobs, and lists by name, as far as they were observed."""

    durations: Mapping[str, DurationTable] = field(default_factory=dict)
    lists: Mapping[str, ListStats] = field(default_factory=dict)


class AccountStatsTable:
    """The statistics of accounts; `shard_of` returns an account's shard letter."""

    def __init__(self, redis: Redis, shard_of: Callable[[str], str]) -> None:
        """Take the store's client."""
        self._redis = redis
        self._shard_of = shard_of

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, AccountStats]:
        """Load the durations and some lists of several accounts in one round trip; ignore what cannot be decoded."""
        pipe = self._redis.pipeline(transaction=False)
        names = {account: sorted(lists) for account, lists in wanted.items()}
        for account, lists in names.items():
            pipe.hmget(self._place(account), [DURATIONS, *(LIST + name for name in lists)])
        answers = await pipe.execute() if names else []
        return {
            account: AccountStats(
                durations=_read_durations(durations),
                lists={
                    name: seen
                    for name, raw in zip(lists, found, strict=True)
                    if (seen := _read(_list, raw)) is not None
                },
            )
            for (account, lists), (durations, *found) in zip(names.items(), answers, strict=True)
        }

    async def save_durations(self, account: str, durations: Mapping[str, DurationTable]) -> None:
        """Save the durations of an account's jobs."""
        await self._save(account, DURATIONS, msgspec.msgpack.encode(durations))

    async def save_list(self, account: str, name: str, seen: ListStats) -> None:
        """Save what is known of one list."""
        await self._save(account, LIST + name, msgspec.msgpack.encode(seen))

    async def _save(self, account: str, name: str, value: bytes) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._place(account), name, value)  # type: ignore[arg-type]  # bytes are values too
        pipe.pexpire(self._place(account), KEPT_MS)
        kept, _ = await pipe.execute(raise_on_error=False)
        if isinstance(kept, OutOfMemoryError):  # a full store works without it, and it can be observed again
            return
        if isinstance(kept, Exception):
            raise kept

    def _place(self, account: str) -> str:
        return keys.account_stats(self._shard_of(account), account)


def _read_durations(raw: bytes | None) -> Mapping[str, DurationTable]:
    tables = _read(_durations, raw) or {}
    return {sort: table for sort, table in tables.items() if len(table.entered) == len(table.ended) == BINS}


def _read(decoder: "msgspec.msgpack.Decoder[T]", raw: bytes | None) -> T | None:
    """Decode what another version may have written; None if that fails, since it can be observed again."""
    try:
        return None if raw is None else decoder.decode(raw)
    except msgspec.MsgspecError:
        return None
