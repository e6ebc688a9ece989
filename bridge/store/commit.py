"""The one door for every change of state that is no plain settle: guards, then writes, in one atomic script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.keys import Queue
from bridge.store.scripts import SCRIPTS, Bytes, Script, ScriptCall, run, run_many

__all__ = [
    "Change",
    "CommitResult",
    "Committer",
    "Delete",
    "Drop",
    "Due",
    "Guard",
    "Lease",
    "Put",
    "Rank",
    "Unrank",
]

CommitResult = Literal["done", "conflict", "fenced"]
COMMIT_RESULTS: dict[bytes, CommitResult] = {name.encode(): name for name in get_args(CommitResult)}
HOWS = {"set": "S", "sooner": "N", "absent": "A"}


@dataclass(frozen=True, slots=True)
class Guard:
    """The record still reads as when it was loaded; None: it is absent."""

    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The caller still holds this item."""

    queue: Queue
    lane: str
    member: str
    token: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Write a record; `px` is its life in ms."""

    key: str
    value: bytes
    px: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record, list or index."""

    key: str


@dataclass(frozen=True, slots=True)
class Rank:
    """Put a member into an index."""

    key: str
    member: str | bytes
    score: int


@dataclass(frozen=True, slots=True)
class Unrank:
    """Take a member out of an index."""

    key: str
    member: str | bytes


@dataclass(frozen=True, slots=True)
class Due:
    """Schedule an item `delay_ms` from Redis's now.

    "set": whatever it was, also a lease (so does its holder end it; a nudge meanwhile still makes it sooner).
    "sooner": an absent item is added, a waiting one comes no later than this, one in flight comes back then.
    "absent": only when it is not queued at all.
    """

    queue: Queue
    lane: str
    member: str
    delay_ms: int
    how: Literal["set", "sooner", "absent"]


@dataclass(frozen=True, slots=True)
class Drop:
    """Take an item off its queue, whoever holds it, with its nudge."""

    queue: Queue
    lane: str
    member: str


Op = Put | Delete | Rank | Unrank | Due | Drop


@dataclass(frozen=True, slots=True)
class Change:
    """What to write in one shard, and what must still be true for it. Keys all lie in that shard."""

    shard: str
    guards: Sequence[Guard]
    ops: Sequence[Op]
    lease: Lease | None = None


class Committer:
    """Commits changes; "conflict" and "fenced" wrote nothing.

    A change that was cut off and sent again says "done" if its guarded records already read as it leaves them.
    """

    def __init__(self, redis: Redis, *, aof: bool) -> None:
        """Say whether the store has an append-only file; without one `durable` waits for nothing."""
        self._redis = redis
        self._aof = aof
        self._script = SCRIPTS["commit_v1"]
        self._new_work_script = self._script.refusing_when_full()

    async def commit(self, change: Change, *, new_work: bool = False, durable: bool = False) -> CommitResult:
        """Make one change; see `commit_many`."""
        return (await self.commit_many((change,), new_work=new_work, durable=durable))[0]

    async def commit_many(
        self, changes: Sequence[Change], *, new_work: bool = False, durable: bool = False
    ) -> list[CommitResult]:
        """Make changes in one round trip, each atomic for itself; give what became of each, in order.

        `new_work` is refused whole at the store's memory limit (`StoreFull`); `durable` returns once all of it is on
        disk (`StoreNotDurable` if that takes too long: it is made, and may be repeated).
        """
        if not changes:
            return []
        script = self._new_work_script if new_work else self._script
        calls = [plan_call(script, change) for change in changes]
        durable = durable and self._aof
        if len(calls) == 1 and not durable:
            return [COMMIT_RESULTS[await run(self._redis, calls[0])]]
        if durable:
            # What repeats a change that is in place writes nothing: the wait needs a write of this connection.
            touch = SCRIPTS["touch_v1"].refusing_when_full() if new_work else SCRIPTS["touch_v1"]
            calls.append(ScriptCall(touch, (keys.touched(changes[0].shard),), ()))
        answers = await run_many(self._redis, calls, durable=durable)
        return [COMMIT_RESULTS[answer] for answer in answers[: len(changes)]]


class _Arguments:
    """KEYS and ARGV as commit's header orders them."""

    def __init__(self, change: Change) -> None:
        self.keys: list[str] = []
        self.args: list[Bytes] = ["-"]
        self._shard = change.shard
        self._left: dict[str, int] = {}  # key -> place in ARGV of what the change puts there
        if change.lease is not None:
            lease = change.lease
            self.keys.append(keys.lane(change.shard, lease.queue, lease.lane))
            self.args = ["L", lease.member, lease.token]
        self._add_guards(change)

    def _add_guards(self, change: Change) -> None:
        self.args.append(len(change.guards))
        places = [len(self.args) + 2 * number + 1 for number in range(len(change.guards))]
        for guard in change.guards:
            self.keys.append(guard.key)
            self.args += (b"" if guard.value is None else guard.value, 0)
        for op in change.ops:
            self._add(op)
        for guard, place in zip(change.guards, places, strict=True):
            self.args[place] = self._left.get(guard.key, 0)

    def _add(self, op: Op) -> None:
        match op:
            case Put(key, value, px):
                self._left[key] = len(self.args) + 2
                self._extend((key,), ("P", value, "" if px is None else px))
            case Delete(key):
                self._left[key] = -1
                self._extend((key,), ("D",))
            case Rank(key, member, score):
                self._extend((key,), ("R", member, score))
            case Unrank(key, member):
                self._extend((key,), ("U", member))
            case Due(queue, lane, member, delay_ms, how):
                self._extend(self._queue(queue, lane), (HOWS[how], lane, member, delay_ms))
            case Drop(queue, lane, member):
                self._extend(self._queue(queue, lane), ("X", lane, member))

    def _extend(self, names: Sequence[str], args: Sequence[Bytes]) -> None:
        self.keys += names
        self.args += args

    def _queue(self, queue: Queue, lane: str) -> tuple[str, ...]:
        shard = self._shard
        return (
            keys.lane(shard, queue, lane),
            keys.lanes(shard, queue),
            keys.gate(shard, queue),
            keys.nudge(shard, queue),
        )


def plan_call(script: Script, change: Change) -> ScriptCall:
    """Lay a change out as the script's header orders it."""
    laid_out = _Arguments(change)
    return ScriptCall(script, laid_out.keys, laid_out.args)
