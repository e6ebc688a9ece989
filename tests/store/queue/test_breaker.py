"""The breaker of a URL: what opens it, what it lets through, and what closes it."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bridge.domain.deliveries.breaker import Breaker, BreakerPlan, BreakerState
from bridge.domain.deliveries.outcome import ANSWERED, BROKEN, OFFLINE, REFUSED, TIMED_OUT, UNREACHED, UNSENT
from bridge.store import keys
from bridge.store.commit import Change, Committer, Due
from bridge.store.queue import breaker_keys
from bridge.store.queue.breakers import Breakers
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.lanes import Claim, Settled

ORIGIN = "https://a.example:443"
LANE = f"prj_x {ORIGIN} hook"
OTHER = f"prj_x {ORIGIN} other"
LEASE_MS = 60_000
# No sleep ends by itself while a test runs: `Url.wake` ends it, and `Url.age` makes a breaker older.
PLAN = BreakerPlan(
    opens_after=3, apart_ms=0, first_ms=60_000, longest_ms=1_800_000, ramp_ms=600_000, step_ms=30_000
)
JITTER = 1.2


class Url:
    """A delivery queue, and one URL in it."""

    def __init__(self, redis: Redis, plan: BreakerPlan = PLAN) -> None:
        self.redis = redis
        self.lanes = FairLanes(redis, "a", breaker=plan, roll=lambda: 0.0)
        self.committer = Committer(redis, aof=False)

    async def add(self, *members: str, lane: str = LANE, how: str = "sooner") -> None:
        ops = [Due("dlv", lane, member, 0, how) for member in members]  # type: ignore[arg-type]  # one of the four words
        assert await self.committer.commit(Change("a", (), ops)) == "done"

    async def claim(self, lane: str = LANE, *, lease_ms: int = LEASE_MS) -> Claim:
        return await self.lanes.claim("a", [(lane, 100)], most=100, page=100, lease_ms=lease_ms)

    async def settle(
        self, claim: Claim, outcome: str, *, delay_ms: int | None = 0, members: Sequence[str] = ()
    ) -> None:
        settled = [
            Settled(
                *(each.lane, each.member, claim.token, delay_ms),
                outcome=outcome,
                probe=each.lane in claim.probes,
            )
            for each in claim.items
            if not members or each.member in members
        ]
        assert settled, "nothing was taken"
        await self.lanes.settle("a", settled)

    async def fail(self, times: int = 1, outcome: str = REFUSED) -> None:
        """Let attempts fail, one after the other."""
        for _ in range(times):
            await self.settle(await self.claim(), outcome)

    async def look(self, lane: str = LANE) -> Breaker:
        return (await Breakers(self.redis, "a").look([lane], now_ms=0))[lane]

    async def now_ms(self) -> int:
        return (await self.claim("prj_x inbox:")).now_ms

    async def state(self) -> BreakerState:
        return (await self.look()).state(await self.now_ms())

    async def sleep_s(self) -> float:
        """How long the URL is left alone from now on."""
        return ((await self.look()).sleeps_until_ms - await self.now_ms()) / 1000

    async def age(self, by_s: float, *, key: str = breaker_keys.opened("a")) -> None:
        """Let the breaker have opened, or with `key` closed, so much earlier."""
        await self.redis.zincrby(key, -by_s * 1000, LANE)

    async def wake(self) -> Claim:
        """End the sleep, and take what comes then."""
        await self.redis.hset(keys.gate("a", "dlv"), LANE, "1")  # type: ignore[misc]  # redis-py types both clients at once
        return await self.claim()

    async def open(self) -> None:
        """Open the breaker with five deliveries waiting."""
        await self.add(*map(str, range(5)))
        await self.fail(PLAN.opens_after)
        assert await self.state() is BreakerState.OPEN


@pytest.fixture
def url(redis: Redis) -> Url:
    return Url(redis)


@pytest.mark.parametrize("outcome", [REFUSED, BROKEN, TIMED_OUT, UNREACHED])
async def test_failures_in_a_row_open_it_and_nothing_is_taken(url: Url, outcome: str) -> None:
    """Whatever they are; what waits is due and stays where it is, and what is new waits too."""
    await url.add("a", "b")
    await url.fail(PLAN.opens_after - 1, outcome)
    assert await url.state() is BreakerState.CLOSED
    await url.fail(1, outcome)
    assert await url.state() is BreakerState.OPEN
    assert (await url.look()).failures == PLAN.opens_after
    await url.add("c")
    assert not (await url.claim()).items
    assert await url.lanes.size("a", LANE) == 3
    assert 59 <= await url.sleep_s() <= 60 * JITTER


@pytest.mark.parametrize("outcome", [OFFLINE, UNSENT])
async def test_our_own_trouble_does_not_open_it(url: Url, outcome: str) -> None:
    """No host is reached at all, or nothing was sent."""
    await url.add("a")
    await url.fail(PLAN.opens_after + 2, outcome)
    assert await url.look() == Breaker()


async def test_a_2xx_between_failures_keeps_it_closed(url: Url) -> None:
    """It opens for failures in a row only."""
    await url.add("a")
    for _ in range(3):
        await url.fail(PLAN.opens_after - 1)
        await url.settle(await url.claim(), ANSWERED)
    assert await url.look() == Breaker()


async def test_failures_that_come_at_once_are_one(redis: Redis) -> None:
    """A herd that fails together says no more of a URL than one attempt; later failures count."""
    url = Url(redis, replace(PLAN, apart_ms=60_000))
    await url.add("a")
    await url.fail(PLAN.opens_after + 2)
    assert await url.look() == Breaker(failures=1)
    for count in range(2, PLAN.opens_after + 1):
        await url.age(61_000, key=breaker_keys.streaks("a"))
        await url.fail()
        assert (await url.look()).failures == count
    assert await url.state() is BreakerState.OPEN


async def test_one_probe_at_a_time_decides(url: Url) -> None:
    """After a sleep one delivery is taken, though more are due."""
    await url.open()
    probe = await url.wake()
    assert (len(probe.items), probe.probes) == (1, frozenset({LANE}))
    assert await url.state() is BreakerState.HALF_OPEN
    assert not (await url.claim()).items
    await url.settle(probe, REFUSED)
    assert await url.state() is BreakerState.OPEN
    assert not (await url.claim()).items


async def test_a_sleep_lasts_as_long_as_the_url_has_failed(url: Url) -> None:
    """So sleeps double, up to half an hour."""
    await url.open()
    for by_s, wanted_s in ((0, 60), (100, 100), (100, 200), (1000, 1200), (9000, 1800)):
        await url.age(by_s)
        await url.settle(await url.wake(), REFUSED)
        assert wanted_s - 1 <= await url.sleep_s() <= (wanted_s + 20) * JITTER


async def test_a_probe_of_a_worker_that_died_is_given_again(url: Url) -> None:
    """When its lease has ended: until then nobody else tries."""
    await url.open()
    await url.wake()
    assert not (await url.claim()).items
    (member,) = [
        each.decode() for each in await url.redis.zrangebyscore(keys.lane("a", "dlv", LANE), "-inf", 0)
    ]
    await url.redis.zadd(keys.lane("a", "dlv", LANE), {member: -1})  # its lease ended long ago
    again = await url.claim()
    assert [each.member for each in again.items] == [member]
    assert again.probes == frozenset({LANE})
    await url.settle(again, ANSWERED)
    assert await url.state() is BreakerState.CLOSED


async def test_attempts_from_before_it_opened_decide_nothing(url: Url) -> None:
    """Ten were in flight; some fail and open it, the others end later: neither sort moves the sleep or closes it."""
    await url.add("proof")
    await url.settle(await url.claim(), ANSWERED, delay_ms=None)
    await url.add(*map(str, range(6)))
    claim = await url.claim()
    assert len(claim.items) == 6
    await url.settle(claim, REFUSED, members=("0", "1", "2"))
    opened = await url.look()
    assert opened.opened_ms
    await url.settle(claim, TIMED_OUT, members=("3",))
    await url.settle(claim, ANSWERED, members=("4",), delay_ms=None)
    assert await url.look() == opened
    assert not (await url.wake()).items, "an attempt is still in flight"
    await url.settle(claim, REFUSED, members=("5",))
    probe = await url.claim()
    assert (len(probe.items), probe.probes) == (1, frozenset({LANE}))


async def test_a_probe_that_is_not_sent_leaves_the_turn_to_the_next(url: Url) -> None:
    """Its endpoint is disabled, or a rate limit lets it wait."""
    await url.open()
    await url.settle(await url.wake(), UNSENT, delay_ms=None)
    probe = await url.claim()
    assert (len(probe.items), probe.probes) == (1, frozenset({LANE}))


async def test_a_2xx_closes_it_and_what_waits_is_let_out_in_steps(url: Url) -> None:
    """Of a hundred deliveries one comes first, then more with each step, and after the ramp as many as ever."""
    await url.open()
    await url.add(*(f"more {number}" for number in range(95)))
    await url.settle(await url.wake(), ANSWERED, delay_ms=None)
    assert await url.state() is BreakerState.CLOSED
    taken = []
    for _ in range(5):
        claim = await url.claim()
        taken.append(len(claim.items))
        assert not claim.probes
        await url.settle(claim, ANSWERED, delay_ms=None)
        assert PLAN.step_ms / 1000 - 1 <= await url.sleep_s() <= PLAN.step_ms / 1000
        assert not (await url.claim()).items, "a step is still on"
        await url.age(149, key=breaker_keys.ramps("a"))  # of 600
        await url.redis.hset(keys.gate("a", "dlv"), LANE, "1")  # type: ignore[misc]  # redis-py types both clients at once
    assert taken == [1, 3, 5, 8, 10]
    await url.age(149, key=breaker_keys.ramps("a"))
    for _ in range(2):  # nothing lies between
        claim = await url.claim()
        assert len(claim.items) == 10
        await url.settle(claim, ANSWERED, delay_ms=None)
    assert await url.look() == Breaker()


async def test_failures_in_a_ramp_open_it_as_if_it_had_never_closed(url: Url) -> None:
    """A receiver that answers only while nobody else asks does not get short sleeps again and again."""
    await url.open()
    await url.age(500)
    opened_ms = (await url.look()).opened_ms
    await url.settle(await url.wake(), ANSWERED)
    for _ in range(PLAN.opens_after):
        await url.settle(await url.wake(), REFUSED)
    breaker = await url.look()
    assert (breaker.opened_ms, breaker.is_ramping) == (opened_ms, False)
    assert await url.sleep_s() >= 499


async def test_a_person_may_send_one_at_any_time(url: Url) -> None:
    """It goes before what waits, and if it fails the URL sleeps again."""
    await url.open()
    await url.add("4", how="first")
    probe = await url.claim()
    assert [each.member for each in probe.items] == ["4"]
    assert probe.probes == {LANE}
    await url.settle(probe, REFUSED)
    assert await url.state() is BreakerState.OPEN


async def test_a_person_may_close_it(url: Url) -> None:
    """Then nothing is known of the URL, and what waits is due at once."""
    await url.open()
    assert await url.lanes.close_breaker(LANE)
    assert await url.look() == Breaker()
    wakes = {lane: at for _, lane, at in await url.lanes.peek()}
    assert wakes[LANE] <= await url.now_ms()
    claim = await url.claim()
    assert (len(claim.items), claim.probes) == (1, frozenset())
    assert not await url.lanes.close_breaker(LANE)


async def test_a_probe_that_was_the_last_attempt_makes_way_for_the_next(url: Url) -> None:
    """What waits for a URL that is gone for good ends in reasonable time."""
    await url.open()
    await url.age(5000)
    await url.settle(await url.wake(), REFUSED, delay_ms=None)
    assert await url.sleep_s() <= 60 * JITTER


async def test_who_reaches_a_host_again_wakes_its_other_urls(redis: Redis) -> None:
    """They failed because the host was down; those of other hosts sleep on."""
    url = Url(redis, replace(PLAN, opens_after=5))
    elsewhere = "prj_x https://b.example:443 hook"
    for lane in (LANE, elsewhere):
        await url.add("a", lane=lane)
        for _ in range(5):
            await url.settle(await url.claim(lane), UNREACHED)
    await url.add("b", lane=OTHER)
    await url.settle(await url.claim(OTHER), ANSWERED, delay_ms=None)
    probe = await url.claim()
    assert (len(probe.items), probe.probes) == (1, frozenset({LANE}))
    assert not (await url.claim(elsewhere)).items


async def test_a_breaker_is_kept_while_something_waits_behind_it(url: Url) -> None:
    """One whose lane ran empty is forgotten after a day."""
    await url.open()
    day_ms = 86_400_000
    long_ago = await url.now_ms() - 2 * day_ms
    await url.redis.hdel(keys.gate("a", "dlv"), LANE)  # type: ignore[misc]  # redis-py types both clients at once
    await url.redis.zadd(breaker_keys.opened("a"), {LANE: long_ago, OTHER: long_ago})
    assert await url.lanes.forget_marks("a") == 1
    assert await url.redis.zscore(breaker_keys.opened("a"), LANE) is not None
    assert await Breakers(url.redis, "a").count_open() == 1
