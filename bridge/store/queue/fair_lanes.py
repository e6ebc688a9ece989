"""The lanes of deliveries: one for each URL, and the slots of an origin are shared among its lanes in turns.

The lease on the item, its token and its fencing are those of `lanes`. What is added is derived: an origin's attempts in
flight are counted from live leases, so a worker that dies leaves nothing behind that does not end with its leases.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.domain.deliveries.breaker import DEFAULT_PLAN, BreakerPlan
from bridge.domain.deliveries.lanes import INBOX, is_origin_wide, read_origin
from bridge.domain.deliveries.origin_limits import (
    DEFAULT_LIMITS,
    UNREACHABLE_AFTER,
    OriginLimits,
)
from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.queue import breaker_keys
from bridge.store.queue.lanes import BEGINS_WITHIN_S, MOST_ITEMS, Claim, Item, Lanes, Settled
from bridge.store.queue.origin_permits import OriginPermits
from bridge.store.scripts import SCRIPTS, ScriptCall, run, run_many

INBOX_CAP: Final = 10
REFUSED_PERMIT_MS: Final = 1_000  # until an attempt without a permit asks again
MOVE_CAP: Final = 200  # of lanes that are only moved to other ones
GOOD_MS: Final = 3_600_000
RAMP_MS: Final = 3_600_000
FAILING_MS: Final = 86_400_000
SLOW_MS: Final = 86_400_000
DOWN_MS: Final = 3_600_000
MAX_MARKS: Final = 20_000  # 120 bytes each
PACE: Final = b"rate"  # the member of `fly` that paces a stranger
GRACE_MS: Final = 10_000  # a lease outlasts the attempt by this


def attempt_lease_ms(attempt_timeout_s: float) -> int:
    """Return for how long an attempt is its worker's: until it must have begun, its time-out, and some more."""
    return round((BEGINS_WITHIN_S + attempt_timeout_s) * 1000) + GRACE_MS


class FairLanes(Lanes):
    """The delivery queue: a lane is a URL without its query, in its project."""

    def __init__(
        self,
        redis: Redis,
        shards: str,
        *,
        limits: OriginLimits = DEFAULT_LIMITS,
        breaker: BreakerPlan = DEFAULT_PLAN,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """Take the letters of the shards in use, how many attempts an origin may have in flight, and when breakers open.

        `roll` returns random numbers between 0 and 1, by which breakers sleep longer.
        """
        super().__init__(redis, "dlv", shards)
        self._limits = limits
        self._breaker = breaker
        self._roll = roll
        self._permits = OriginPermits(redis, limits.stranger) if len(shards) > 1 else None
        self._rows: list[int] = [
            each
            for row in limits.rows()
            for each in (row.per_url, row.young_ms, row.young, row.total, row.burst, row.interval_ms)
        ]

    async def claim(
        self, shard: str, lanes: Sequence[tuple[str, int]], *, most: int, page: int, lease_ms: int
    ) -> Claim:
        """Lease at most `most` items, at most `page` of one URL, as far as their origins have slots.

        With each lane comes how many risky items this worker has room for, over all lanes of the call. A lane without a
        slot waits for its turn; `Claim.risky` names those whose attempts may hang, and `Claim.put_off` those for which the
        worker has no room: they are due again soon, for another worker or this one.
        """
        origins: dict[str, int] = {}
        wanted: list[Bytes] = []
        for lane, _ in lanes:
            if is_origin_wide(lane):
                wanted.append(-MOVE_CAP)
            elif (origin := read_origin(lane)) == INBOX:
                wanted.append(-INBOX_CAP)
            else:
                wanted.append(origins.setdefault(origin, len(origins) + 1))
        most_risky = min((room for _, room in lanes), default=0)
        args: list[Bytes] = [
            *(lease_ms, min(most, MOST_ITEMS), page, most_risky, UNREACHABLE_AFTER),
            *(self._breaker.ramp_ms, self._breaker.step_ms, *self._rows),
            *(len(origins), *origins, *wanted),
        ]
        head = (keys.lanes(shard, "dlv"), keys.gate(shard, "dlv"), keys.claims(shard, "dlv"))
        places = [keys.lane(shard, "dlv", lane) for lane, _ in lanes]
        names = [*head, *_marks(shard), *_origins(shard, origins), *places]
        answer = await run(self.redis, ScriptCall(SCRIPTS["claim_fair_v3"], names, args))
        claim = _read_claim(answer, [lane for lane, _ in lanes])
        return await self._keep_permitted(shard, claim, lease_ms) if self._permits else claim

    async def _keep_permitted(self, shard: str, claim: Claim, lease_ms: int) -> Claim:
        """Put back what must not begin at a stranger now, since the other shards count too."""
        attempts: dict[str, list[str]] = {}
        for item in claim.items:
            if item.lane in claim.strangers:
                attempts.setdefault(read_origin(item.lane), []).append(_attempt(claim.token, item.member))
        if not attempts or self._permits is None:
            return claim
        refused, proven = await self._permits.take(attempts, lease_ms=lease_ms)
        if proven:
            known: dict[str | bytes, bytes | float | int | str] = dict.fromkeys(proven, claim.now_ms)
            with suppress(OutOfMemoryError):  # not known here, they are asked for again
                await self.redis.hset(keys.proven(shard), mapping=known)  # type: ignore[misc]  # redis-py types both clients at once
        may_begin, again = [], []
        for item in claim.items:
            if _attempt(claim.token, item.member) in refused:
                again.append(Settled(item.lane, item.member, claim.token, REFUSED_PERMIT_MS))
            else:
                may_begin.append(item)
        if again:
            await self.settle(shard, again)
        return replace(claim, items=tuple(may_begin))

    async def settle(self, shard: str, settled: Sequence[Settled]) -> list[str]:
        """End leases; return the members that were fenced, of which nothing but the outcome was written."""
        fenced = await super().settle(shard, settled)
        if self._permits:
            await self._permits.give_back(
                {_attempt(each.token, each.member): each.outcome for each in settled}
            )
        return fenced

    def _settle_call(self, shard: str, settled: Sequence[Settled]) -> ScriptCall:
        by_lane: dict[str, list[Settled]] = {}
        for item in settled:
            by_lane.setdefault(item.lane, []).append(item)
        origins: dict[str, int] = {}
        records: list[str] = []
        args: list[Bytes] = []
        for lane, items in by_lane.items():
            origin = INBOX if is_origin_wide(lane) else read_origin(lane)
            number = 0 if origin == INBOX else origins.setdefault(origin, len(origins) + 1)
            args += (number, len(items))
            for item in items:
                delay = "" if item.delay_ms is None else item.delay_ms
                listed = "".join(f"{mark.letter}{mark.created_ms} {mark.origin}" for mark in item.mark)
                outcome = item.outcome.upper() if item.probe else item.outcome
                args += (item.member, item.token, delay, outcome, listed, len(item.records))
                for key, value in item.records:
                    records.append(key)
                    args.append(value)
                for mark in item.mark:
                    records += mark.indexes
        head = (keys.lanes(shard, "dlv"), keys.gate(shard, "dlv"), keys.nudge(shard, "dlv"))
        places = [keys.lane(shard, "dlv", lane) for lane in by_lane]
        names = [
            *head,
            *_marks(shard),
            breaker_keys.streaks(shard),
            *_origins(shard, origins),
            *places,
            *records,
        ]
        plan = self._breaker
        rules = (self._limits.stranger.interval_ms, UNREACHABLE_AFTER)
        breaker = (
            *(plan.opens_after, plan.apart_ms, plan.first_ms, plan.longest_ms),
            f"{self._roll():.6f}",
        )
        head_args: list[Bytes] = [*rules, *breaker, len(origins), *origins, len(by_lane)]
        return ScriptCall(SCRIPTS["settle_fair_v3"], names, [*head_args, *args])

    async def close_breaker(self, lane: str) -> bool:
        """Let everything through to a URL again, as if nothing had failed there; return whether its breaker was open."""
        calls = [
            ScriptCall(
                SCRIPTS["close_breaker_v1"],
                (
                    *(keys.lanes(shard, "dlv"), keys.gate(shard, "dlv"), breaker_keys.opened(shard)),
                    *(breaker_keys.ramps(shard), breaker_keys.streaks(shard), keys.lane(shard, "dlv", lane)),
                ),
                (lane,),
            )
            for shard in self.shards
        ]
        return b"1" in await run_many(self.redis, calls)

    async def forget_marks(self, shard: str) -> int:
        """Forget how URLs and origins fared long ago; return how many marks were removed."""
        names = (
            *(keys.good(shard), keys.slow(shard), keys.down(shard), breaker_keys.streaks(shard)),
            *(
                breaker_keys.opened(shard),
                breaker_keys.ramps(shard),
                keys.lanes(shard, "dlv"),
                keys.gate(shard, "dlv"),
            ),
        )
        ages = (GOOD_MS, SLOW_MS, DOWN_MS, FAILING_MS, FAILING_MS, RAMP_MS)
        args = [each for age in ages for each in (age, MAX_MARKS)]
        return int(await run(self.redis, ScriptCall(SCRIPTS["forget_marks_v2"], names, args)))


def _attempt(token: bytes, member: str) -> str:
    return token.decode() + member


def _marks(shard: str) -> tuple[str, ...]:
    return (
        keys.full(shard, "dlv"),
        keys.good(shard),
        keys.slow(shard),
        keys.proven(shard),
        keys.down(shard),
        breaker_keys.opened(shard),
        breaker_keys.ramps(shard),
    )


def _origins(shard: str, origins: dict[str, int]) -> list[str]:
    return [
        name
        for origin in origins
        for name in (keys.fly(shard, origin), keys.turns(shard, origin), keys.tags(shard, origin))
    ]


def _read_claim(answer: Sequence[Any], lanes: Sequence[str]) -> Claim:
    token, now_ms, put_off, probes, *found = answer
    items: list[Item] = []
    risky: set[str] = set()
    strangers: set[str] = set()
    waiting: dict[str, int] = {}
    for number, size, scored in zip(found[::3], found[1::3], found[2::3], strict=True):
        place = float(number)
        lane = lanes[int(abs(place)) - 1]
        waiting[lane] = int(size)
        if place < 0:
            risky.add(lane)
        if place % 1:
            strangers.add(lane)
        pairs = iter(scored)
        items += [
            Item(lane, member.decode(), int(float(due))) for member, due in zip(pairs, pairs, strict=True)
        ]
    return Claim(
        token,
        int(now_ms),
        tuple(items),
        frozenset(risky),
        frozenset(strangers),
        tuple(lanes[number - 1] for number in put_off),
        frozenset(lanes[number - 1] for number in probes),
        waiting,
    )
