"""The lanes' invariants hold through thousands of random steps, on a real clock with leases of milliseconds."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.commit import Change, Committer, Drop, Due, Lease
from bridge.store.queue.lanes import Lanes, Settled

CAPS = {"free": 0, "one": 1, "two": 2, "wide": 7}
MEMBERS = [f"{lane}-{number}" for lane in CAPS for number in range(12)]


def lane_of(member: str) -> str:
    return member.partition("-")[0]


@dataclass
class Observed:
    """Everything in Redis at one moment."""

    now_ms: int
    wakes: dict[str, float]
    scores: dict[str, float]
    gates: dict[str, int]
    nudges: dict[str, int]

    def live(self, lane: str) -> int:
        return sum(lane_of(member) == lane and score < -self.now_ms for member, score in self.scores.items())


@dataclass
class Fuzz:
    """A worker that does anything at any time, and a model that knows what must be in the queue."""

    lanes: Lanes
    committer: Committer
    dice: random.Random
    queued: set[str] = field(default_factory=set)
    tokens: dict[str, bytes] = field(
        default_factory=dict
    )  # the last token each member was leased with, if it holds
    stale: list[tuple[str, bytes]] = field(default_factory=list)

    async def look(self) -> Observed:
        pipe = self.lanes.redis.pipeline(transaction=True)
        pipe.time()
        pipe.zrange(keys.lanes("a", "poll"), 0, -1, withscores=True)
        pipe.hgetall(keys.gate("a", "poll"))
        pipe.hgetall(keys.nudge("a", "poll"))
        for lane in CAPS:
            pipe.zrange(keys.lane("a", "poll", lane), 0, -1, withscores=True)
        (seconds, micros), wakes, gates, nudges, *queues = await pipe.execute()
        return Observed(
            now_ms=seconds * 1000 + micros // 1000,
            wakes={lane.decode(): wake for lane, wake in wakes},
            scores={member.decode(): score for queue in queues for member, score in queue},
            gates={lane.decode(): int(until) for lane, until in gates.items()},
            nudges={member.decode(): int(due) for member, due in nudges.items()},
        )

    async def check(self) -> None:
        seen = await self.look()
        assert set(seen.scores) == self.queued, "something was lost or came back"
        assert all(seen.scores[member] < 0 for member in seen.nudges), "a nudge outlived the flight"
        for lane, cap in CAPS.items():
            mine = [score for member, score in seen.scores.items() if lane_of(member) == lane]
            full = cap and seen.live(lane) >= cap
            must = [-score if score < 0 else score for score in mine if score < 0 or not full]
            if must:
                latest = max(min(must), seen.gates.get(lane, 0), seen.now_ms)
                assert lane in seen.wakes, f"{lane} has items and no wake-up"
                assert seen.wakes[lane] <= latest, f"{lane} wakes too late"

    async def step(self) -> None:
        steps: list[Callable[[], Awaitable[object]]] = [
            self.add,
            self.claim,
            self.claim,
            self.settle,
            self.settle,
            self.late,
            self.commit,
            self.gate,
        ]
        steps += [self.die] if self.dice.random() < 0.2 else []
        await self.dice.choice(steps)()
        await self.check()

    async def add(self) -> None:
        how = self.dice.choice(["set", "sooner", "absent"])
        member = self.dice.choice(MEMBERS)
        before = await self.look()
        delay = self.dice.randrange(60)
        due = Due("poll", lane_of(member), member, delay, how)  # type: ignore[arg-type]  # one of the three words
        assert await self.committer.commit(Change("a", (), (due,))) == "done"
        after = await self.look()
        if how == "set":
            assert after.scores[member] <= after.now_ms + delay
            self.tokens.pop(member, None)
        elif how == "absent" and member in self.queued:
            assert after.scores[member] == before.scores[member]
        elif before.scores.get(member, 0) < 0:
            assert after.scores[member] == before.scores[member], "a lease was cut"
            assert after.nudges[member] <= min(before.nudges.get(member, 1 << 60), after.now_ms + delay)
        elif member in self.queued:
            assert after.scores[member] <= min(before.scores[member], after.now_ms + delay)
        self.queued.add(member)

    async def claim(self, *, due_only: bool = False, lease_ms: int = 0) -> int:
        names = self.dice.sample(list(CAPS), self.dice.randrange(1, 5))
        if due_only:
            now = (await self.look()).now_ms
            names = [lane for _, lane, wake in await self.lanes.peek() if wake <= now]
        got = await self.lanes.claim(
            "a",
            [(lane, CAPS[lane]) for lane in names],
            most=self.dice.randrange(1, 20),
            page=self.dice.randrange(1, 8),
            lease_ms=lease_ms or self.dice.choice([3, 20, 100]),
        )
        for item in got.items:
            if item.member in self.tokens:
                assert item.due_ms < 0, "a live lease was given away"
                self.stale.append((item.member, self.tokens[item.member]))
            self.tokens[item.member] = got.token
        seen = await self.look()
        for lane, cap in CAPS.items():
            assert not cap or seen.live(lane) <= cap, "a cap was broken"
        return len(got.items)

    async def settle(self, *, leave: bool = False) -> None:
        held = self.dice.sample(sorted(self.tokens), min(len(self.tokens), self.dice.randrange(1, 9)))
        delays = {member: None if leave else self.dice.choice([None, 0, 7, 40]) for member in held}
        nudges = (await self.look()).nudges
        settled = [
            Settled(lane_of(member), member, self.tokens.pop(member), delays[member]) for member in held
        ]
        assert await self.lanes.settle("a", settled) == [], "a holder was fenced"
        after = await self.look()
        for item in settled:
            if item.member in nudges:
                assert after.scores[item.member] <= nudges[item.member], "a nudge was ignored"
            elif item.delay_ms is None:
                self.queued.discard(item.member)
            self.stale.append((item.member, item.token))

    async def late(self) -> None:
        if not self.stale:
            return
        member, token = self.stale.pop(self.dice.randrange(len(self.stale)))
        before = await self.look()
        assert await self.lanes.settle("a", [Settled(lane_of(member), member, token, 0)]) == [member]
        lease = Lease("poll", lane_of(member), member, token)
        drop = Drop("poll", lane_of(member), member)
        assert await self.committer.commit(Change("a", (), (drop,), lease)) == "fenced"
        assert (await self.look()).scores == before.scores, "a fenced worker changed something"

    async def commit(self) -> None:
        if not self.tokens:
            return
        member = self.dice.choice(sorted(self.tokens))
        lane = lane_of(member)
        lease = Lease("poll", lane, member, self.tokens.pop(member))
        leaves = self.dice.random() < 0.3
        op = Drop("poll", lane, member) if leaves else Due("poll", lane, member, 15, "set")
        assert await self.committer.commit(Change("a", (), (op,), lease)) == "done"
        self.queued -= {member} if leaves else set()
        self.stale.append((member, lease.token))

    async def die(self) -> None:
        """A worker forgets what it holds: only the lease's end brings it back."""
        for member in self.dice.sample(sorted(self.tokens), len(self.tokens) // 2):
            del self.tokens[member]

    async def gate(self) -> None:
        lane = self.dice.choice(list(CAPS))
        match self.dice.randrange(4):
            case 0:
                await self.lanes.block("a", lane, for_ms=self.dice.randrange(1, 30))
            case 1:
                await self.lanes.unblock("a", lane, due_all=self.dice.random() < 0.5)
            case 2:
                await self.lanes.sweep_gates("a")
            case _:
                await asyncio.sleep(0.004)  # time passes: leases end, gates open

    async def drain(self) -> None:
        """Visit lanes only when they are due, as a worker does: what wakes too late would never come."""
        async with asyncio.timeout(20):
            while self.queued:
                if not await self.claim(due_only=True, lease_ms=5000):
                    await asyncio.sleep(0.001)
                await self.settle(leave=True)
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_late_or_doubled_in_thousands_of_random_steps(redis: Redis, seed: int) -> None:
    """Wake-ups are never too late, caps hold, tokens fence, nudges are honoured, and all of it drains."""
    steps = 300 if type(redis) is not Redis else 2000
    fuzz = Fuzz(Lanes(redis, "poll", "a"), Committer(redis, aof=False), random.Random(seed))
    for _ in range(steps):
        await fuzz.step()
    await fuzz.drain()
    await fuzz.lanes.claim("a", list(CAPS.items()), most=9, page=9, lease_ms=9)
    assert (await fuzz.look()).scores == {}
    left = {key.decode() for key in await redis.keys("*")}
    assert left <= {keys.claims("a", "poll"), keys.gate("a", "poll")}
