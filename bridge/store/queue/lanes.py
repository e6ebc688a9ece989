"""Lanes: queues with limits of their own, one mechanism for polling and for delivering.

Each shard has a ZSET of lanes by wake-up, each lane a ZSET of items by due time. A claimed item stays in its lane with
its lease as score; who settles must show the lease's token, so that a late worker changes nothing. All times are
Redis's.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.keys import Queue
from bridge.store.scripts import SCRIPTS, ScriptCall, run, run_many
from bridge.store.trouble.trouble_marks import TroubleMark

SETTLE_STEP = 1000  # items a call: Lua's unpack has a limit, and other scripts wait meanwhile
UNBLOCK_STEP = 1000
BEGINS_WITHIN_S = 5.0  # a worker that has not begun a claimed item by then gives it back
MOST_ITEMS = 2000  # unpack takes 4,000 arguments


class Item(Struct, frozen=True, gc=False):  # one is made for every read and every attempt
    """A claimed item. `due_ms` tells how late it is; negative: it came back from a lease that ended then."""

    lane: str
    member: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim got: one token for all of its items, and Redis's time."""

    token: bytes
    now_ms: int
    items: tuple[Item, ...]
    risky: frozenset[str] = frozenset()  # lanes whose attempts may well take their whole time-out
    strangers: frozenset[str] = frozenset()  # lanes to origins that have never answered 2xx
    put_off: tuple[str, ...] = ()  # lanes left out because the worker has no room for risky items
    probes: frozenset[str] = frozenset()  # lanes whose item decides whether their breaker closes
    waiting: Mapping[str, int] = field(default_factory=dict)  # items of a lane, in flight or waiting


@dataclass(frozen=True, slots=True)
class HoldClaim(Claim):
    """What a hold got; `absent` are the members that are not in the lane at all, `size` is the number of those that are."""

    absent: frozenset[str] = frozenset()
    size: int = 0


class Settled(Struct, frozen=True, gc=False):  # likewise
    """An item whose work is done: back in `delay_ms` (None: it leaves the queue), with the records to write.

    `records` are keys and values. Each is written only where one exists, and keeps its expiry. `outcome` is how an attempt
    fared, see `domain/deliveries/outcome`, `probe` whether a breaker goes by it, and `mark` how the delivery is listed anew, if
    it is; polling has none of them.
    """

    lane: str
    member: str
    token: bytes
    delay_ms: int | None
    records: tuple[tuple[str, bytes], ...] = ()
    outcome: str = ""
    mark: tuple[TroubleMark, ...] = ()
    probe: bool = False


class Lanes:
    """The lanes of one queue in every shard: "poll" (lane = account) or "dlv" (lane = destination)."""

    def __init__(self, redis: Redis, queue: Queue, shards: str) -> None:
        """Take the letters of the shards in use."""
        self.redis = redis
        self.queue: Queue = queue
        self.shards = shards
        self.woken = (
            asyncio.Event()
        )  # set by `wakeups.listen`: the queue's next visit is earlier than a peek told

    async def peek(self, *, limit: int = 200) -> list[tuple[str, str, int]]:
        """Return (shard, lane, wake ms), earliest first; compare with the `now_ms` of a claim, not a clock of yours."""
        pipe = self.redis.pipeline(transaction=False)
        for shard in self.shards:
            pipe.zrange(keys.lanes(shard, self.queue), 0, limit - 1, withscores=True)
        seen = [
            (shard, lane.decode(), int(wake))
            for shard, lanes in zip(self.shards, await pipe.execute(), strict=True)
            for lane, wake in lanes
        ]
        return sorted(seen, key=lambda place: place[2])

    async def claim(
        self, shard: str, lanes: Sequence[tuple[str, int]], *, most: int, page: int, lease_ms: int
    ) -> Claim:
        """Lease at most `most` items, at most `page` of one lane, from (lane, cap); cap 0 is none.

        A cap counts every live lease of its lane, whoever holds it. Visited lanes sleep until they must be seen again.
        """
        places = [keys.lane(shard, self.queue, lane) for lane, _ in lanes]
        args: list[Bytes] = [lease_ms, min(most, MOST_ITEMS), page]
        for lane, cap in lanes:
            args += (lane, cap)
        lanes_key, gate, _, full = self._head(shard)
        head = (lanes_key, gate, keys.claims(shard, self.queue), full)
        token, now, *found = await run(self.redis, ScriptCall(SCRIPTS["claim_v1"], [*head, *places], args))
        items = tuple(
            Item(lanes[int(number) - 1][0], member.decode(), int(float(score)))
            for number, scored in _pairs(found)
            for member, score in _pairs(scored)
        )
        return Claim(token, int(now), items)

    async def hold(self, shard: str, lane: str, members: Sequence[str], *, lease_ms: int) -> HoldClaim:
        """Lease those of some members of one lane that wait, due or not; the others are left out of the claim."""
        names = (keys.claims(shard, self.queue), keys.lane(shard, self.queue, lane))
        call = ScriptCall(SCRIPTS["hold_v2"], names, (lease_ms, *members))
        token, now, size, *scores = await run(self.redis, call)
        found = [
            (member, int(float(score)) if score else None)
            for member, score in zip(members, scores, strict=True)
        ]
        return HoldClaim(
            token,
            int(now),
            tuple(
                Item(lane, member, due_ms) for member, due_ms in found if due_ms is not None and due_ms >= 0
            ),
            absent=frozenset(member for member, due_ms in found if due_ms is None),
            size=int(size),
        )

    async def renew(
        self, shard: str, lane: str, held: Sequence[tuple[str, bytes]], *, lease_ms: int
    ) -> list[bytes | None]:
        """Make the leases of (member, token) in one lane last longer; give the new tokens, None: another's by now."""
        args: list[Bytes] = [lease_ms]
        for member, token in held:
            args += (member, token)
        names = (keys.claims(shard, self.queue), keys.lane(shard, self.queue, lane))
        return [
            token or None for token in await run(self.redis, ScriptCall(SCRIPTS["renew_v1"], names, args))
        ]

    async def settle(self, shard: str, settled: Sequence[Settled]) -> list[str]:
        """End leases; give the members that were fenced, of which nothing was written."""
        fenced: list[str] = []
        for start in range(0, len(settled), SETTLE_STEP):
            call = self._settle_call(shard, settled[start : start + SETTLE_STEP])
            fenced += [member.decode() for member in await run(self.redis, call)]
        return fenced

    def _settle_call(self, shard: str, settled: Sequence[Settled]) -> ScriptCall:
        by_lane: dict[str, list[Settled]] = {}
        for item in settled:
            by_lane.setdefault(item.lane, []).append(item)
        places = [keys.lane(shard, self.queue, lane) for lane in by_lane]
        records: list[str] = []
        args: list[Bytes] = [len(by_lane)]
        for lane, items in by_lane.items():
            args += (lane, len(items))
            for item in items:
                delay = "" if item.delay_ms is None else item.delay_ms
                args += (item.member, item.token, delay, len(item.records))
                for key, value in item.records:
                    records.append(key)
                    args.append(value)
        return ScriptCall(SCRIPTS["settle_v2"], [*self._head(shard), *places, *records], args)

    def _head(self, shard: str) -> tuple[str, str, str, str]:
        return (
            keys.lanes(shard, self.queue),
            keys.gate(shard, self.queue),
            keys.nudge(shard, self.queue),
            keys.full(shard, self.queue),
        )

    async def block(self, shard: str, lane: str, *, for_ms: int) -> int:
        """Put a whole lane to sleep; give the ms until which it sleeps, later where it already slept for longer."""
        return (await self.block_many(shard, {lane: for_ms}))[lane]

    async def block_many(self, shard: str, lanes: Mapping[str, int]) -> Mapping[str, int]:
        """Put lanes to sleep for so many ms each, in one round trip; see `block`."""
        head = self._head(shard)[:2]
        calls = [ScriptCall(SCRIPTS["block_v1"], head, (lane, for_ms)) for lane, for_ms in lanes.items()]
        answers = await run_many(self.redis, calls) if calls else []
        return {lane: int(until) for lane, until in zip(lanes, answers, strict=True)}

    async def unblock(self, shard: str, lane: str, *, due_all: bool) -> int:
        """Wake a lane; with `due_all` every waiting item is due now, in steps. Give how many were made due."""
        place = [*self._head(shard)[:2], keys.lane(shard, self.queue, lane)]
        step, total = UNBLOCK_STEP if due_all else 0, 0
        while True:
            moved = int(await run(self.redis, ScriptCall(SCRIPTS["unblock_v2"], place, (lane, step))))
            total += moved
            if moved < step or step == 0:
                return total

    async def sweep_gates(self, shard: str) -> int:
        """Forget the gates whose time has passed; give how many."""
        return int(await run(self.redis, ScriptCall(SCRIPTS["sweep_gates_v1"], self._head(shard)[1:2], ())))

    async def size(self, shard: str, lane: str) -> int:
        """Count a lane's items, in flight or waiting."""
        return (await self.sizes(shard, (lane,)))[lane]

    async def sizes(self, shard: str, lanes: Collection[str]) -> Mapping[str, int]:
        """Count the items of several lanes in one round trip."""
        if not lanes:
            return {}
        pipe = self.redis.pipeline(transaction=False)
        for lane in lanes:
            pipe.zcard(keys.lane(shard, self.queue, lane))
        return dict(zip(lanes, map(int, await pipe.execute()), strict=True))

    async def count_lanes(self) -> int:
        """Count the lanes of all shards that have items, in one round trip."""
        pipe = self.redis.pipeline(transaction=False)
        for shard in self.shards:
            pipe.zcard(keys.lanes(shard, self.queue))
        return sum(await pipe.execute())

    async def count_asleep(self) -> int:
        """Count those of them that have a gate; one that has just opened counts until a claim or the sweep comes by."""
        pipe = self.redis.pipeline(transaction=False)
        for shard in self.shards:
            pipe.hlen(keys.gate(shard, self.queue))
        return sum(await pipe.execute())

    async def blocked(self, shard: str, lanes: Sequence[str]) -> Mapping[str, int]:
        """Return the ms until which each of these lanes sleeps, for those with a gate."""
        if not lanes:
            return {}
        found = await self.redis.hmget(keys.gate(shard, self.queue), list(lanes))  # type: ignore[misc]  # redis-py types both clients at once
        return {lane: int(until) for lane, until in zip(lanes, found, strict=True) if until}

    async def due_of(self, shard: str, lane: str, member: str) -> int | None:
        """Return when an item is due, negative: in flight until; None: it is not queued."""
        score = await self.redis.zscore(keys.lane(shard, self.queue, lane), member)
        return None if score is None else int(score)

    async def due_many(self, shard: str, items: Sequence[tuple[str, str]]) -> list[int | None]:
        """Return when each of these (lane, member) is due, in order; see `due_of`."""
        pipe = self.redis.pipeline(transaction=False)
        for lane, member in items:
            pipe.zscore(keys.lane(shard, self.queue, lane), member)
        return [None if score is None else int(score) for score in await pipe.execute()] if items else []


def lease_end_ms(token: bytes) -> int:
    """Return when the lease with this token ends, or would have ended."""
    return -int(float(token))


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
