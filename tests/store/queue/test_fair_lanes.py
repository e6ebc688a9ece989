"""Fair lanes: what an origin gives whom, and what its URLs' answers change."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bridge.domain.deliveries.breaker import DEFAULT_PLAN, BreakerPlan
from bridge.domain.deliveries.origin_limits import DEFAULT_LIMITS, UNREACHABLE_AFTER, OriginLimits
from bridge.domain.deliveries.outcome import ANSWERED, BROKEN, REFUSED, TIMED_OUT, UNREACHED, UNSENT
from bridge.store import keys
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.lanes import Claim, Lanes, Settled
from bridge.store.queue.standings import LaneStanding, LaneStandings

LEASE_MS = 60_000
ORIGIN = "https://a.example:443"
BURST = DEFAULT_LIMITS.stranger.burst
OFTEN = replace(  # a stranger whose age limit does not matter
    DEFAULT_LIMITS,
    stranger=replace(DEFAULT_LIMITS.stranger, young=100, total=100, interval_ms=60_000),
)


def lane(url: int | str, project: str = "prj_x", origin: str = ORIGIN) -> str:
    return f"{project} {origin} {url}"


@dataclasses.dataclass
class Queue:
    """A delivery queue with helpers."""

    lanes: FairLanes
    limits: OriginLimits

    async def look(self, now_ms: int, *names: str) -> dict[str, LaneStanding]:
        """See what lanes wait for."""
        standings = LaneStandings(self.lanes.redis, self.limits)
        return await standings.look("a", names, now_ms=now_ms, lease_ms=LEASE_MS)

    async def add(self, *names: str, each: int = 1) -> None:
        ops = [Due("dlv", name, f"{name}/{number}", 0, "sooner") for name in names for number in range(each)]
        assert await Committer(self.lanes.redis, aof=False).commit(Change("a", (), ops)) == "done"

    async def claim(self, *names: str, risky: int = 1000) -> Claim:
        """Visit some lanes, or those that are due."""
        if not names:
            now_ms = (await self.claim("prj_x inbox:")).now_ms
            names = tuple(name for _, name, wake in await self.lanes.peek(limit=1000) if wake <= now_ms)
        visited = [(name, risky) for name in names]
        return await self.lanes.claim("a", visited, most=1000, page=1000, lease_ms=LEASE_MS)

    async def settle(self, claim: Claim, outcome: str, *, delay_ms: int | None = None) -> None:
        settled = [
            Settled(item.lane, item.member, claim.token, delay_ms, outcome=outcome) for item in claim.items
        ]
        assert await self.lanes.settle("a", settled) == []

    async def prove(self, *names: str) -> None:
        """Let URLs answer 2xx."""
        await self.add(*names)
        for name in names:
            await self.settle(await self.claim(name), ANSWERED)


def queue_of(
    redis: Redis, limits: OriginLimits = DEFAULT_LIMITS, breaker: BreakerPlan = DEFAULT_PLAN
) -> Queue:
    return Queue(FairLanes(redis, "a", limits=limits, breaker=breaker), limits)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return queue_of(redis)


async def test_a_url_gets_one_attempt_until_it_answers_2xx(redis: Redis) -> None:
    """Then ten; a failure of any sort takes them away again."""
    queue = queue_of(redis, breaker=replace(DEFAULT_PLAN, opens_after=11))
    await queue.prove(lane("proof"))
    await queue.add(lane(1), each=30)
    first = await queue.claim(lane(1))
    assert len(first.items) == 1
    await queue.settle(first, ANSWERED)
    second = await queue.claim(lane(1))
    assert len(second.items) == DEFAULT_LIMITS.healthy.per_url
    await queue.settle(second, REFUSED)
    assert len((await queue.claim(lane(1))).items) == 1


async def test_a_lane_without_items_is_not_visited_again(redis: Redis, queue: Queue) -> None:
    """It is forgotten with its last item, and found again with the next one; one that has a gate opens it first."""

    async def is_listed(name: str) -> bool:
        full = await redis.execute_command("SISMEMBER", keys.full("a", "dlv"), name)  # type: ignore[no-untyped-call]  # redis-py
        listed = name in {lane for _, lane, _ in await queue.lanes.peek()}
        assert listed or not full, "nobody would ever say that it has room"
        return listed

    await queue.prove(lane("proof"))
    await queue.add(lane(1), each=2)
    first = await queue.claim(lane(1))
    await queue.settle(first, ANSWERED)
    assert await is_listed(lane(1)), "it has another item"
    await queue.settle(await queue.claim(lane(1)), ANSWERED)
    assert not await is_listed(lane(1))
    await queue.add(lane(1))
    again = await queue.claim()
    assert [item.lane for item in again.items] == [lane(1)]
    await queue.settle(again, ANSWERED, delay_ms=5_000)
    assert await is_listed(lane(1)), "it is tried again later"
    await queue.add(lane(2))
    last = await queue.claim(lane(2))
    await redis.execute_command("HSET", keys.gate("a", "dlv"), lane(2), last.now_ms - 1)  # type: ignore[no-untyped-call]  # redis-py
    await queue.settle(last, ANSWERED)
    assert await is_listed(lane(2))


@pytest.mark.parametrize("outcome", [UNREACHED, BROKEN, TIMED_OUT])
async def test_a_host_that_never_answers_is_paced(redis: Redis, outcome: str) -> None:
    """So many attempts at once, however soon they end, and then one each interval; the lanes wait in turns."""
    queue = queue_of(redis, OFTEN)
    await queue.add(*map(lane, range(40)))
    got = 0
    for _ in range(40):
        claim = await queue.claim(*map(lane, range(40)))
        got += len(claim.items)
        await queue.settle(claim, outcome)
    assert got == BURST
    standing = (await queue.look(claim.now_ms, lane(39)))[lane(39)]
    assert standing.before is not None
    assert not standing.has_room


@pytest.mark.parametrize("outcome", [REFUSED, UNSENT])
async def test_answers_that_come_soon_are_not_paced(redis: Redis, outcome: str) -> None:
    """Forty hooks that answer 404 must not keep a healthy one waiting."""
    queue = queue_of(redis, OFTEN)
    await queue.add(*map(lane, range(40)))
    got = 0
    for _ in range(40):
        claim = await queue.claim(*map(lane, range(40)))
        got += len(claim.items)
        await queue.settle(claim, outcome)
    assert got == 40


async def test_a_2xx_frees_the_host(queue: Queue) -> None:
    """Whoever waited because it was a stranger goes now."""
    await queue.add(*map(lane, range(12)))
    first = await queue.claim(*map(lane, range(12)))
    assert len(first.items) == DEFAULT_LIMITS.stranger.young
    await queue.settle(first, ANSWERED)
    assert len((await queue.claim()).items) + len((await queue.claim()).items) == 10


async def test_an_origin_that_cannot_be_reached_gets_one_attempt_at_a_time(redis: Redis) -> None:
    """Though it had answered before; any answer ends that."""
    queue = queue_of(redis, breaker=replace(DEFAULT_PLAN, opens_after=11))
    await queue.prove(*map(lane, range(10)))
    await queue.add(*map(lane, range(10)), each=3)
    for _ in range(UNREACHABLE_AFTER):
        claim = await queue.claim(lane(0))
        await queue.settle(claim, UNREACHED, delay_ms=0)
    claim = await queue.claim(*map(lane, range(10)))
    assert len(claim.items) == 1
    await queue.settle(claim, REFUSED)
    assert len((await queue.claim()).items) > 1


async def test_projects_take_turns(queue: Queue) -> None:
    """A project with many URLs before another with one: the one comes second, whoever is visited first."""
    many = [lane(number) for number in range(50)]
    late = lane("late", "prj_y")
    await queue.add(*many)
    await queue.claim(*many)
    await queue.add(late)
    assert not (await queue.claim(late)).items
    turns: list[bytes] = await queue.lanes.redis.zrange(keys.turns("a", ORIGIN), 0, -1)
    assert turns.index(late.encode()) <= 1


async def test_a_worker_without_slots_for_what_may_hang_leaves_it(queue: Queue) -> None:
    """Another one may take it; URLs whose last answer was a 2xx are claimed all the same.

    A new URL may hang too, also at a host that has answered before.
    """
    stranger = lane("x", origin="https://stranger.example:443")
    await queue.prove(lane(1))
    await queue.add(lane(1), lane("new"), stranger)
    claim = await queue.claim(stranger, lane("new"), lane(1), risky=0)
    assert [item.lane for item in claim.items] == [lane(1)]
    assert claim.risky == frozenset()
    claim = await queue.claim(stranger, lane("new"))
    assert claim.risky == {stranger, lane("new")}


async def test_lanes_of_version_0_1_are_emptied_in_pages(queue: Queue) -> None:
    """Their items are moved, not sent, so no cap of an origin holds for them."""
    await queue.add(f"? {ORIGIN}", f"prj_x {ORIGIN}", each=150)
    assert len((await queue.claim()).items) == 300


async def test_a_worker_of_version_0_1_cannot_make_lanes_be_forgotten(queue: Queue) -> None:
    """It may take all that wakes lanes in their turn; each is seen again within two minutes."""
    names = [*map(lane, range(20))]
    await queue.add(*names)
    await queue.claim(*names)
    old = Lanes(queue.lanes.redis, "dlv", "a")
    seen = {name: wake for _, name, wake in await old.peek()}
    assert set(seen) == set(names)
    now_ms = (await queue.claim("prj_x inbox:")).now_ms
    assert max(seen.values()) <= now_ms + 120_000


async def test_marks_end_by_their_age_and_their_number(queue: Queue) -> None:
    """URLs that are called once leave a mark each."""
    await queue.prove(lane(1))
    redis = queue.lanes.redis
    await redis.zadd(keys.good("a"), {lane("old"): 1})
    await redis.zadd(keys.slow("a"), {lane("old"): 1})
    assert await queue.lanes.forget_marks("a") == 2
    assert await redis.zscore(keys.good("a"), lane(1)) is not None


async def test_what_a_lane_waits_for_can_be_told(queue: Queue) -> None:
    """Its own attempt in flight, other lanes before it, or nothing."""
    await queue.prove(lane(0))
    await queue.add(lane(1), each=2)
    claim = await queue.claim(lane(1))
    seen = await queue.look(claim.now_ms, lane(1), lane(2), "prj_x inbox:")
    own, free = seen[lane(1)], seen[lane(2)]
    assert (own.kind, own.in_flight, own.per_url, own.before) == ("unknown", 1, 1, None)
    assert (free.in_flight, free.before, free.origin_in_flight, free.has_room) == (0, None, 1, True)
    assert len(seen) == 2


async def test_the_lanes_before_one_are_those_of_its_own_kind(queue: Queue) -> None:
    """Each kind has slots of its own, so that those that hang are not before those that are new."""
    await queue.prove(*map(lane, range(3)))
    slow, new = [lane(f"slow{n}") for n in range(20)], [lane(f"new{n}") for n in range(30)]
    await queue.add(*slow, *new)
    now_ms = (await queue.claim("prj_x inbox:")).now_ms
    await queue.lanes.redis.zadd(keys.slow("a"), dict.fromkeys(slow, now_ms))
    claim = await queue.claim(*new, *slow)
    begun = {item.lane for item in claim.items}
    waiting = [each for each in slow if each not in begun]
    seen = await queue.look(claim.now_ms, *waiting)
    assert sorted(each.before or 0 for each in seen.values()) == list(range(len(waiting)))
    assert {(each.kind, each.has_room) for each in seen.values()} == {("slow", False)}


async def test_the_pace_goes_on_at_its_interval(redis: Redis) -> None:
    """After the burst the next attempt comes an interval later."""
    quick = replace(OFTEN, stranger=replace(OFTEN.stranger, burst=2, interval_ms=60))
    queue = queue_of(redis, quick)
    await queue.add(*map(lane, range(4)))
    first = await queue.claim(*map(lane, range(4)))
    assert len(first.items) == 2
    wake = min(at for _, name, at in await queue.lanes.peek() if name in map(lane, (2, 3)))
    await queue.settle(first, UNREACHED)
    assert wake - first.now_ms == pytest.approx(60, abs=5)
    await asyncio.sleep(0.061)
    assert 1 <= len((await queue.claim()).items) <= 2  # the second one where the store is slow
