"""The delivery queue's invariants hold through thousands of random steps, on a real clock with leases of milliseconds."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf

import pytest
from redis.asyncio import Redis

from bridge.domain.deliveries.breaker import BreakerPlan
from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.origin_limits import UNREACHABLE_AFTER, OriginLimits, SlotLimit
from bridge.domain.deliveries.outcome import ANSWERED, BROKEN, OFFLINE, REFUSED, TIMED_OUT, UNREACHED, UNSENT
from bridge.store import keys
from bridge.store.commit import Change, Committer, Drop, Due, Lease
from bridge.store.queue import breaker_keys
from bridge.store.queue.fair_lanes import DOWN_MS, PACE, FairLanes
from bridge.store.queue.lanes import Settled

LIMITS = OriginLimits(
    healthy=SlotLimit(3, 10, 3, 4),
    unknown=SlotLimit(1, 10, 2, 4),
    slow=SlotLimit(1, 10, 1, 2),
    stranger=SlotLimit(1, 15, 2, 3, 3, 8),
    unreachable=SlotLimit(1, 0, 1, 1, 3, 8),
)
BREAKER = BreakerPlan(opens_after=3, apart_ms=0, first_ms=5, longest_ms=40, ramp_ms=20, step_ms=3)
LEASE_MS = 30  # longer than an attempt is young
ORIGINS = [f"https://{host}:443" for host in ("a", "b")]
LANES = [f"prj_{project} {origin} {url}" for origin in ORIGINS for project in "xyz" for url in range(4)]
LANES += ["prj_x inbox:", "? https://a:443"]
MEMBERS = [f"{lane}|{number}" for lane in LANES for number in range(5)]
POOL = 10**12


def lane_of(member: str) -> str:
    return member.partition("|")[0]


@dataclass
class Origin:
    """One origin's keys at one moment."""

    flying: dict[str, float]  # token + member -> lease end, and the pool as eighths
    rate: float  # theoretical arrival time of the next attempt at a stranger, 0: any time
    turns: dict[str, float]
    proven: bool
    down: float


@dataclass
class Observed:
    """Everything in Redis at one moment."""

    now_ms: int
    wakes: dict[str, float]
    scores: dict[str, float]
    nudges: dict[str, int]
    good: set[str]
    slow: set[str]
    gates: dict[str, int]
    opened: set[str]
    ramps: set[str]
    origins: dict[str, Origin]

    def live(self, lane: str) -> list[str]:
        return [each for each, at in self.scores.items() if lane_of(each) == lane and at < -self.now_ms]

    def limit(self, lane: str) -> tuple[int, SlotLimit, bool]:
        """Return pool, limit and whether all attempts at the origin count."""
        origin = self.origins[read_origin(lane)]
        if origin.down % 1000 >= UNREACHABLE_AFTER and origin.down > self.now_ms - DOWN_MS:
            return 2, LIMITS.unreachable, True
        if not origin.proven:
            return 2, LIMITS.stranger, True
        if lane in self.slow:
            return 3, LIMITS.slow, False
        healthy = lane in self.good and not self.is_probed(lane)
        return (1, LIMITS.healthy, False) if healthy else (2, LIMITS.unknown, False)

    def is_probed(self, lane: str) -> bool:
        return lane in self.opened and lane not in self.ramps

    def pool_ends(self, origin: Origin, pool: int, *, strict: bool) -> list[float]:
        """Return the lease ends of what is in flight in a pool; a fraction tells the pool."""
        return [at for at in origin.flying.values() if at > self.now_ms and (strict or at % 1 * 8 == pool)]

    def flights(self, lane: str) -> list[float]:
        pool, _, strict = self.limit(lane)
        return self.pool_ends(self.origins[read_origin(lane)], pool, strict=strict)


@dataclass
class Fuzz:
    """A worker that does anything at any time, and a model that knows what must be in the queue."""

    lanes: FairLanes
    committer: Committer
    dice: random.Random
    queued: set[str] = field(default_factory=set)
    tokens: dict[str, bytes] = field(default_factory=dict)  # what each held member was leased with
    stale: list[tuple[str, bytes]] = field(default_factory=list)
    probes: set[tuple[str, bytes]] = field(default_factory=set)
    snoozed_ms: int = 0

    async def look(self) -> Observed:
        pipe = self.lanes.redis.pipeline(transaction=True)
        pipe.time()
        pipe.zrange(keys.lanes("a", "dlv"), 0, -1, withscores=True)
        pipe.hgetall(keys.nudge("a", "dlv"))
        pipe.zrange(keys.good("a"), 0, -1)
        pipe.zrange(keys.slow("a"), 0, -1)
        pipe.hgetall(keys.gate("a", "dlv"))
        pipe.zrange(breaker_keys.opened("a"), 0, -1)
        pipe.zrange(breaker_keys.ramps("a"), 0, -1)
        for origin in ORIGINS:
            pipe.zrange(keys.fly("a", origin), 0, -1, withscores=True)
            pipe.zrange(keys.turns("a", origin), 0, -1, withscores=True)
            pipe.hget(keys.proven("a"), origin)
            pipe.zscore(keys.down("a"), origin)
        for lane in LANES:
            pipe.zrange(keys.lane("a", "dlv", lane), 0, -1, withscores=True)
        (seconds, micros), wakes, nudges, good, slow, gates, opened, ramps, *rest = await pipe.execute()
        of_origins, queues = rest[: 4 * len(ORIGINS)], rest[4 * len(ORIGINS) :]
        return Observed(
            now_ms=seconds * 1000 + micros // 1000,
            wakes={lane.decode(): wake for lane, wake in wakes},
            scores={member.decode(): score for queue in queues for member, score in queue},
            nudges={member.decode(): int(due) for member, due in nudges.items()},
            good={lane.decode() for lane in good},
            slow={lane.decode() for lane in slow},
            gates={lane.decode(): int(until) for lane, until in gates.items()},
            opened={lane.decode() for lane in opened},
            ramps={lane.decode() for lane in ramps},
            origins={
                origin: Origin(
                    flying={each.decode(): at for each, at in of_origins[4 * number] if each != PACE},
                    rate=dict(of_origins[4 * number]).get(PACE, 0.0),
                    turns={each.decode(): at for each, at in of_origins[4 * number + 1]},
                    proven=of_origins[4 * number + 2] is not None,
                    down=of_origins[4 * number + 3] or 0,
                )
                for number, origin in enumerate(ORIGINS)
            },
        )

    async def check(self) -> None:
        seen = await self.look()
        assert set(seen.scores) == self.queued, "something was lost or came back"
        assert seen.ramps <= seen.opened, "a ramp outlived its breaker"
        assert all(seen.scores[member] < 0 for member in seen.nudges), "a nudge outlived the flight"
        for lane in LANES:
            self.check_wake(seen, lane)
        for origin in seen.origins.values():
            for pool in (1, 2, 3):
                self.check_turns(seen, origin, pool)

    def check_wake(self, seen: Observed, lane: str) -> None:
        """A lane with items wakes in time; while it waits for its turn it is seen once in a while."""
        waits = any(lane in origin.turns for origin in seen.origins.values())
        mine = [score for member, score in seen.scores.items() if lane_of(member) == lane]
        if not mine:
            return
        if waits:
            assert seen.wakes.get(lane, inf) <= seen.now_ms + 120_000, f"{lane} waits and is never seen"
            return
        plain = lane not in LANES[:-2]
        cap = {"prj_x inbox:": 10}.get(lane, 200) if plain else seen.limit(lane)[1].per_url
        full = len(seen.live(lane)) >= cap
        must = [-score if score < 0 else score for score in mine if score < 0 or not full]
        if must:
            assert lane in seen.wakes, f"{lane} has items and no wake-up"
            latest = max(min(must), seen.now_ms, self.snoozed_ms, seen.gates.get(lane, 0))
            assert seen.wakes[lane] <= latest, f"{lane} wakes too late"

    def check_turns(self, seen: Observed, origin: Origin, pool: int) -> None:
        """Of the lanes that wait for a slot the first one is seen when one can come free."""
        waiting = [(at, lane) for lane, at in origin.turns.items() if pool * POOL <= at < (pool + 1) * POOL]
        if not waiting:
            return
        first = min(waiting)[1]
        assert first in seen.wakes, f"{first} is the first to wait and nobody wakes it"
        _, limit, strict = seen.limit(first)
        ends = seen.pool_ends(origin, pool, strict=strict)
        aged = [at - LEASE_MS + limit.young_ms for at in ends]
        young = [at for at in aged if at > seen.now_ms]
        latest = max(
            seen.now_ms,
            self.snoozed_ms,
            min(ends) if len(ends) >= limit.total else 0,
            min(young) if len(young) >= limit.young else 0,
            origin.rate - (limit.burst - 1) * limit.interval_ms if limit.interval_ms else 0,
        )
        assert seen.wakes[first] <= latest + 1, f"{first} waits although a slot comes free"

    async def step(self) -> None:
        steps: list[Callable[[], Awaitable[object]]] = [
            self.add,
            self.add,
            self.claim,
            self.claim,
            self.claim,
            self.settle,
            self.settle,
            self.late,
            self.commit,
            self.drop,
            self.wait,
        ]
        steps += [self.forgive] if self.dice.random() < 0.2 else []
        steps += [self.die] if self.dice.random() < 0.2 else []
        await self.dice.choice(steps)()
        await self.check()

    async def add(self) -> None:
        how = self.dice.choice(["set", "sooner", "absent", "first"])
        held = sorted(self.tokens) if self.dice.random() < 0.3 else []
        member = self.dice.choice(held or MEMBERS)
        due = Due("dlv", lane_of(member), member, self.dice.choice([0, 0, 0, 30]), how)  # type: ignore[arg-type]  # one of the four words
        assert await self.committer.commit(Change("a", (), (due,))) == "done"
        if how == "set":
            self.tokens.pop(member, None)
        self.queued.add(member)

    async def claim(self, *, due_only: bool = False, lease_ms: int = 0) -> int:
        names = self.dice.sample(LANES, self.dice.randrange(1, 12))
        if due_only or self.dice.random() < 0.5:
            now = (await self.look()).now_ms
            names = [lane for _, lane, wake in await self.lanes.peek() if wake <= now]
        before = await self.look()
        risks = 0 if not due_only and self.dice.random() < 0.1 else 100
        got = await self.lanes.claim(
            "a",
            [(lane, risks) for lane in names],
            most=self.dice.randrange(1, 20),
            page=self.dice.randrange(1, 8),
            lease_ms=lease_ms or LEASE_MS,
        )
        if risks == 0:
            self.snoozed_ms = got.now_ms + 201
        for item in got.items:
            if item.member in self.tokens:
                assert item.due_ms < 0, "a live lease was given away"
                self.stale.append((item.member, self.tokens[item.member]))
            self.tokens[item.member] = got.token
            if item.lane in got.probes:
                self.probes.add((item.member, got.token))
        seen = await self.look()
        for item in got.items:
            assert before.gates.get(item.lane, 0) <= got.now_ms, (
                f"{item.lane} sleeps, and something was taken"
            )
        assert got.probes == {item.lane for item in got.items if seen.is_probed(item.lane)}
        for origin in ORIGINS:
            self.check_pace(before, seen, origin, [item.lane for item in got.items])
        for lane in {item.lane for item in got.items} & set(LANES[:-2]):
            _, limit, strict = seen.limit(lane)
            assert len(seen.live(lane)) <= limit.per_url, f"{lane} has more than its slots"
            assert len(seen.flights(lane)) <= limit.total, f"the origin of {lane} has more than its slots"
            flying = {each for each, at in seen.origins[read_origin(lane)].flying.items() if at > seen.now_ms}
            mine = {self.tokens[each].decode() + each for each in seen.live(lane) if each in self.tokens}
            assert mine <= flying, "an attempt in flight is not counted"
            assert strict or (lane in got.risky) == (seen.limit(lane)[0] != 1)
        return len(got.items)

    def check_pace(self, before: Observed, after: Observed, origin: str, lanes: list[str]) -> None:
        """Attempts at an origin that never answered, or is down, come at its pace."""
        mine = [lane for lane in lanes if lane in LANES[:-2] and read_origin(lane) == origin]
        if not mine or not after.limit(mine[0])[1].interval_ms:
            return
        limit, rate = after.limit(mine[0])[1], after.origins[origin].rate
        assert rate <= after.now_ms + limit.burst * limit.interval_ms, "more attempts than the pace allows"
        earliest = max(before.origins[origin].rate, before.now_ms) + len(mine) * limit.interval_ms
        assert rate >= earliest, "attempts were not counted"

    async def settle(self, *, leave: bool = False) -> None:
        held = self.dice.sample(sorted(self.tokens), min(len(self.tokens), self.dice.randrange(1, 9)))
        nudges = (await self.look()).nudges
        outcomes = [ANSWERED, ANSWERED, REFUSED, BROKEN, TIMED_OUT, UNREACHED, OFFLINE, UNSENT]
        settled = [
            Settled(
                lane_of(member),
                member,
                token := self.tokens.pop(member),
                None if leave else self.dice.choice([None, 0, 7, 40]),
                outcome=self.dice.choice(outcomes),
                probe=(member, token) in self.probes,
            )
            for member in held
        ]
        assert await self.lanes.settle("a", settled) == [], "a holder was fenced"
        after = await self.look()
        for item in settled:
            if item.member in nudges:
                assert after.scores[item.member] <= nudges[item.member], "a nudge was ignored"
            elif item.delay_ms is None:
                self.queued.discard(item.member)
            self.stale.append((item.member, item.token))
            if item.lane in LANES[:-2]:
                flying = after.origins[read_origin(item.lane)].flying
                ended = item.token.decode() + item.member
                assert ended not in flying, "a slot was not given back"

    async def late(self) -> None:
        if not self.stale:
            return
        member, token = self.stale.pop(self.dice.randrange(len(self.stale)))
        before = await self.look()
        assert await self.lanes.settle("a", [Settled(lane_of(member), member, token, 0)]) == [member]
        lease = Lease("dlv", lane_of(member), member, token)
        drop = Drop("dlv", lane_of(member), member)
        assert await self.committer.commit(Change("a", (), (drop,), lease)) == "fenced"
        assert (await self.look()).scores == before.scores, "a fenced worker changed something"

    async def commit(self) -> None:
        if not self.tokens:
            return
        member = self.dice.choice(sorted(self.tokens))
        lane = lane_of(member)
        lease = Lease("dlv", lane, member, self.tokens.pop(member))
        leaves = self.dice.random() < 0.3
        op = Drop("dlv", lane, member) if leaves else Due("dlv", lane, member, 15, "set")
        assert await self.committer.commit(Change("a", (), (op,), lease)) == "done"
        self.queued -= {member} if leaves else set()
        self.stale.append((member, lease.token))

    async def drop(self) -> None:
        """Somebody cancels a delivery, in flight or not."""
        if not self.queued:
            return
        member = self.dice.choice(sorted(self.queued))
        assert await self.committer.commit(Change("a", (), (Drop("dlv", lane_of(member), member),))) == "done"
        self.queued.discard(member)
        if member in self.tokens:
            self.stale.append((member, self.tokens.pop(member)))

    async def forgive(self) -> None:
        """Somebody says that a receiver is well again."""
        lane = self.dice.choice(LANES)
        await self.lanes.close_breaker(lane)
        seen = await self.look()
        assert lane not in seen.gates.keys() | seen.opened

    async def die(self) -> None:
        """A worker forgets what it holds: only the lease's end brings it back."""
        for member in self.dice.sample(sorted(self.tokens), len(self.tokens) // 2):
            del self.tokens[member]

    async def wait(self) -> None:
        """Time passes: leases end, attempts are young no more."""
        await asyncio.sleep(self.dice.choice([0.002, 0.015]))

    async def drain(self) -> None:
        """Visit lanes only when they are due, as a worker does: what wakes too late would never come."""
        async with asyncio.timeout(30):
            while self.queued:
                if not await self.claim(due_only=True, lease_ms=5000):
                    await asyncio.sleep(0.001)
                await self.settle(leave=True)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_late_or_doubled_in_thousands_of_random_steps(redis: Redis, seed: int) -> None:
    """Caps hold for lanes and origins, each lane has its turn, wake-ups are in time, and all of it drains."""
    steps = 150 if type(redis) is not Redis else 600
    dice = random.Random(seed)
    lanes = FairLanes(redis, "a", limits=LIMITS, breaker=BREAKER, roll=dice.random)
    fuzz = Fuzz(lanes, Committer(redis, aof=False), dice)
    for _ in range(steps):
        await fuzz.step()
    await fuzz.drain()
    await asyncio.sleep(0.25)
    await fuzz.lanes.claim("a", [(lane, 9) for lane in LANES], most=9, page=9, lease_ms=9)
    assert (await fuzz.look()).scores == {}
    await fuzz.lanes.sweep_gates("a")
    left = {key.decode() for key in await redis.keys("*")}
    marks = {keys.good("a"), keys.slow("a"), keys.proven("a"), keys.down("a"), breaker_keys.streaks("a")}
    marks |= {breaker_keys.opened("a"), breaker_keys.ramps("a")}
    assert {key for key in left if ":fly:" not in key} <= {keys.claims("a", "dlv"), *marks}
    assert all([await redis.pttl(key) > 0 for key in left if ":fly:" in key])
