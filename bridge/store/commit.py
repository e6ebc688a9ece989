"""Commit changes: check what they depend on, then write, in one atomic script."""

import asyncio
from collections.abc import Sequence
from functools import cache, partial
from typing import Literal, NamedTuple, get_args

from msgspec import Struct
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.durable import DurableScripts
from bridge.store.endpoint_deliveries import DeliverAll
from bridge.store.grouping import Grouping
from bridge.store.keys import Queue
from bridge.store.scripts import SCRIPTS, Script, ScriptCall, run_each
from bridge.store.trouble.trouble_marks import TroubleMark

__all__ = [
    "Change",
    "CommitResult",
    "Committer",
    "Delete",
    "Drop",
    "Due",
    "Grow",
    "Guard",
    "Holding",
    "Lease",
    "Put",
    "Rank",
    "Unrank",
]

CommitResult = Literal["done", "conflict", "fenced"]
COMMIT_RESULTS: dict[bytes, CommitResult] = {name.encode(): name for name in get_args(CommitResult)}
MOST_TOGETHER = 64  # changes in one round trip; each is some KB, and other commands wait meanwhile
HOWS = {"set": "S", "sooner": "N", "absent": "A", "first": "H"}
# Each script for work in progress, and for new work.
COMMIT = (SCRIPTS["commit_v4"], SCRIPTS["commit_v4"].refusing_when_full())


class Guard(Struct, frozen=True, gc=False):
    """A condition: the record has the value with which it was loaded; None: it does not exist."""

    key: str
    value: bytes | None


class Lease(Struct, frozen=True, gc=False):
    """A condition: the caller still has the lease of this item."""

    queue: Queue
    lane: str
    member: str
    token: bytes


class Holding(Struct, frozen=True, gc=False):
    """A condition: an item is leased until `until_ms`, by whomever; 0: it has no lease."""

    queue: Queue
    lane: str
    member: str
    until_ms: int


class Put(Struct, frozen=True, gc=False):
    """Write a record; `px` is its time to live in milliseconds."""

    key: str
    value: bytes
    px: int | None = None

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.left[self.key] = len(call.args) + 2
        call.keys.append(self.key)
        call.args += ("P", self.value, "" if self.px is None else self.px)


class Delete(Struct, frozen=True, gc=False):
    """Remove a record, list or index."""

    key: str

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.left[self.key] = -1
        call.keys.append(self.key)
        call.args.append("D")


class Rank(Struct, frozen=True, gc=False):
    """Put a member into an index."""

    key: str
    member: str | bytes
    score: int

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.keys.append(self.key)
        call.args += ("R", self.member, self.score)


class Unrank(Struct, frozen=True, gc=False):
    """Take a member out of an index."""

    key: str
    member: str | bytes

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.keys.append(self.key)
        call.args += ("U", self.member)


class Due(Struct, frozen=True, gc=False):
    """Schedule an item `delay_ms` from now, by Redis's clock.

    "set": in any case, even if it is leased, which is how the holder ends its lease; a nudge can still make it sooner.
    "sooner": add an absent item, make a waiting one due at this time at the latest, and nudge one in flight.
    "absent": only if it is not queued at all.
    "first": as "sooner", before all that waits in the lane; one that sleeps is woken.
    """

    queue: Queue
    lane: str
    member: str
    delay_ms: int
    how: Literal["set", "sooner", "absent", "first"]

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.add_queue(self.queue, self.lane)
        call.args += (HOWS[self.how], self.lane, self.member, self.delay_ms)


class Grow(Struct, frozen=True, gc=False):
    """Add to a counter; what is negative takes from it."""

    key: str
    by: int

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.keys.append(self.key)
        call.args += ("B", self.by)


class Drop(Struct, frozen=True, gc=False):
    """Remove an item from its queue, even if it is leased, and its nudge."""

    queue: Queue
    lane: str
    member: str

    def add_to(self, call: "_Arguments") -> None:
        """Add the operation to a call."""
        call.add_queue(self.queue, self.lane)
        call.args += ("X", self.lane, self.member)


Op = Put | Delete | Rank | Unrank | Due | Drop | Grow | DeliverAll | TroubleMark


class Change(Struct, frozen=True, gc=False):
    """Writes to one shard with their conditions; all keys belong to that shard."""

    shard: str
    guards: Sequence[Guard]
    ops: Sequence[Op]
    lease: Lease | None = None
    held: Sequence[Holding] = ()


class Committer:
    """Commits changes; after "conflict" (another condition failed) or "fenced" (the lease was lost) nothing was written.

    A change that is sent again after a broken connection returns "done" if its guarded records are as it leaves them.
    """

    def __init__(self, redis: Redis, *, aof: bool, durable: DurableScripts | None = None) -> None:
        """Take whether the store has an append-only file; without one `durable` has no effect.

        `durable` is what runs durable changes.
        """
        self._redis = redis
        self._aof = aof
        self._together: dict[_How, Grouping[Change, CommitResult]] = {}
        self._durable = durable or DurableScripts(redis, aof=aof)

    async def commit(self, change: Change, *, new_work: bool = False, durable: bool = False) -> CommitResult:
        """Commit one change; it shares its round trip with what else is committed in this iteration of the event loop.

        With `new_work` a change is refused at the store's memory limit: raise `StoreFull`. With `durable` return once
        it is on disk; raise `StoreNotDurable` if that takes too long (the change is made, and may be repeated).
        """
        how = _How(change.shard, new_work, durable and self._aof)
        together = self._together.get(how)
        if together is None:
            together = self._together[how] = Grouping(partial(self._commit_each, how), most=MOST_TOGETHER)
        return await together.ask(change)

    async def finish(self) -> None:
        """Wait until the changes under way have been answered, before the store is closed."""
        await asyncio.gather(*(each.finish() for each in self._together.values()))

    async def commit_many(
        self, changes: Sequence[Change], *, new_work: bool = False, durable: bool = False
    ) -> list[CommitResult]:
        """Commit changes as `commit` does, in a round trip of their own; return their results in order.

        If one of them fails, its error is raised, and the others have still been made.
        """
        if not changes:
            return []
        answers = await self._commit_each(_How(changes[0].shard, new_work, durable and self._aof), changes)
        results: list[CommitResult] = []
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            results.append(answer)
        return results

    async def _commit_each(self, how: "_How", changes: Sequence[Change]) -> list[CommitResult | Exception]:
        calls = [plan_call(COMMIT[how.new_work], change) for change in changes]
        if not how.durable:
            return [_read_result(answer) for answer in await run_each(self._redis, calls)]
        answers = await self._durable.run_each(calls, touched=keys.touched(how.shard), new_work=how.new_work)
        return [_read_result(answer) for answer in answers]


class _How(NamedTuple):
    """What the changes of one round trip share; `shard` is where one writes before it waits for the disk."""

    shard: str
    new_work: bool
    durable: bool


def _read_result(answer: bytes | Exception) -> CommitResult | Exception:
    return answer if isinstance(answer, Exception) else COMMIT_RESULTS[answer]


class _Arguments:
    """KEYS and ARGV in the order of commit_v4's header; `left` says where in ARGV the change has a key's new value."""

    def __init__(self, change: Change) -> None:
        self.keys: list[str] = []
        self.args: list[Bytes] = ["-"]
        self.left: dict[str, int] = {}
        self._shard = change.shard
        if change.lease is not None:
            lease = change.lease
            self.keys.append(keys.lane(change.shard, lease.queue, lease.lane))
            self.args = ["L", lease.member, lease.token]
        self.args.append(len(change.held))
        for held in change.held:
            self.keys.append(keys.lane(change.shard, held.queue, held.lane))
            self.args += (held.member, -held.until_ms)
        self._add_guards(change)

    def _add_guards(self, change: Change) -> None:
        self.args.append(len(change.guards))
        places = [len(self.args) + 2 * number + 1 for number in range(len(change.guards))]
        for guard in change.guards:
            self.keys.append(guard.key)
            self.args += (b"" if guard.value is None else guard.value, 0)
        for op in change.ops:
            op.add_to(self)
        for guard, place in zip(change.guards, places, strict=True):
            self.args[place] = self.left.get(guard.key, 0)

    def add_queue(self, queue: Queue, lane: str) -> None:
        """Add the keys of a queue and one of its lanes."""
        self.keys += (keys.lane(self._shard, queue, lane), *_queue_keys(self._shard, queue))


@cache
def _queue_keys(shard: str, queue: Queue) -> tuple[str, str, str]:
    return keys.lanes(shard, queue), keys.gate(shard, queue), keys.nudge(shard, queue)


def plan_call(script: Script, change: Change) -> ScriptCall:
    """Return the call of commit_v4 for a change."""
    arguments = _Arguments(change)
    return ScriptCall(script, arguments.keys, arguments.args)
