"""What an account's answers have taught: how long its jobs take, and where its lists show them.

Written without a guard: two workers may each forget something the other has just learnt, and learn it again.
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

# Texts of hash fields that versions before wrote too.
DURATIONS, LIST = "lives", "list:"
T = TypeVar("T")
KEPT_MS = 30 * 86_400_000
_durations = msgspec.msgpack.Decoder(Mapping[str, DurationTable])
_list = msgspec.msgpack.Decoder(ListStats)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStats:
    """Life tables by sort of job, lists by name; what was never met is left out."""

    durations: Mapping[str, DurationTable] = field(default_factory=dict)
    lists: Mapping[str, ListStats] = field(default_factory=dict)


class AccountStatsTable:
    """The lessons of accounts. `shard_of` gives an account's shard letter."""

    def __init__(self, redis: Redis, shard_of: Callable[[str], str]) -> None:
        """Take the store's client."""
        self._redis = redis
        self._shard_of = shard_of

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, AccountStats]:
        """Read the life tables and some lists of several accounts in one round trip; what cannot be read is unknown."""
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
        """Keep the life tables of an account."""
        await self._save(account, DURATIONS, msgspec.msgpack.encode(durations))

    async def save_list(self, account: str, name: str, seen: ListStats) -> None:
        """Keep what is known of one list."""
        await self._save(account, LIST + name, msgspec.msgpack.encode(seen))

    async def _save(self, account: str, name: str, value: bytes) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._place(account), name, value)  # type: ignore[arg-type]  # bytes are values too
        pipe.pexpire(self._place(account), KEPT_MS)
        kept, _ = await pipe.execute(raise_on_error=False)
        if isinstance(kept, OutOfMemoryError):  # a full store goes on without it: it can be learnt again
            return
        if isinstance(kept, Exception):
            raise kept

    def _place(self, account: str) -> str:
        return keys.account_stats(self._shard_of(account), account)


def _read_durations(raw: bytes | None) -> Mapping[str, DurationTable]:
    tables = _read(_durations, raw) or {}
    return {sort: table for sort, table in tables.items() if len(table.entered) == len(table.ended) == BINS}


def _read(decoder: "msgspec.msgpack.Decoder[T]", raw: bytes | None) -> T | None:
    """Read what another version may have written; it can be learnt again."""
    try:
        return None if raw is None else decoder.decode(raw)
    except msgspec.MsgspecError:
        return None
