"""Budgets: what is granted under a limit, to all workers together, and what is left to the client."""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from bridge.domain.observation import RateHeaders
from bridge.domain.polling.rate_limit import Grant, Limit, Purpose, RateReport
from bridge.domain.polling.rate_reports import GatheredReports
from bridge.store import keys
from bridge.store.tables.rate_budgets import Ask, Budgets

API = Limit(name="api", requests=60, window_s=60)
SINGLE = [Purpose.SINGLE]
MINUTE = 60_000
START = 1_795_000_020_000


@dataclass
class Upstream:
    """A rate limit that counts, in fixed windows or sliding; `now` moves by hand."""

    redis: Redis
    sliding: bool = False
    limit: int = 60
    window: int = MINUTE
    border: int = 17_000
    headers: bool = True
    now: int = START
    hits: deque[int] = field(default_factory=deque)
    refused: int = 0

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.redis, lambda _: "a", now_ms=lambda: self.now)
        self.begins = START - self.border

    def ask(self) -> bool:
        if self.sliding:
            while self.hits and self.hits[0] <= self.now - self.window:
                self.hits.popleft()
        else:
            while self.now >= self.begins + self.window:
                self.begins += self.window
                self.hits.clear()
        allowed = len(self.hits) < self.limit
        if allowed:
            self.hits.append(self.now)
        self.refused += not allowed
        return allowed

    def said(self, request: str = "", *, allowed: bool = True) -> RateReport:
        if not self.headers:
            return RateReport(request=request)
        begins = self.hits[0] if self.sliding else self.begins
        reset = -(-(begins + self.window) // 1000) * 1000
        quiet = None if allowed else reset
        return RateReport(
            request=request,
            limit=self.limit,
            remaining=self.limit - len(self.hits),
            reset_ms=reset,
            quiet_ms=quiet,
        )

    async def greedy(
        self, until: int, *, client_every: int = 0, step: int = 250, pauses: Random | None = None
    ) -> int:
        """Spend whatever is granted, while the client asks now and then; give how many were spent.

        With `pauses` the bridge stands still now and then, between a grant and its requests.
        """
        spent, next_call = 0, self.now
        while self.now < until:
            grant = await self.budgets.spend("x", API, SINGLE * 5)
            if pauses and pauses.random() < 0.01:
                self.now += pauses.randrange(5000)
            while client_every and self.now >= next_call:
                assert self.ask(), "the client was refused"
                next_call += client_every
            for request in grant.requests:
                allowed = self.ask()
                await self.budgets.spend("x", API, reports=[self.said(request, allowed=allowed)])
                spent += 1
            self.now += step
        return spent


@pytest.fixture
def upstream(redis: Redis) -> Upstream:
    return Upstream(redis)


@pytest.mark.parametrize("sliding", [False, True])
async def test_an_idle_clients_part_is_spent_and_the_limit_never_passed(real: Redis, sliding: bool) -> None:  # noqa: FBT001 -- a case
    """After warm-up nearly all of the 60, in every minute, and not one refused."""
    upstream = Upstream(real, sliding=sliding)
    await upstream.greedy(START + 2 * MINUTE)
    spent = await upstream.greedy(START + 6 * MINUTE)
    assert upstream.refused == 0
    assert spent / 4 >= (48 if sliding else 56)


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("client_every", [20_000, 5000, 3000, 2000])
async def test_a_steady_client_is_never_refused(real: Redis, client_every: int, sliding: bool) -> None:  # noqa: FBT001 -- a case
    """From 3 to 30 calls a minute, in the first minute already, while the bridge takes most of the rest."""
    upstream = Upstream(real, sliding=sliding)
    await upstream.greedy(START + 2 * MINUTE, client_every=client_every)
    spent = await upstream.greedy(START + 6 * MINUTE, client_every=client_every)
    assert upstream.refused == 0
    assert spent / 4 >= 0.55 * (60 - MINUTE / client_every)


@pytest.mark.parametrize("seed", [20, 22, 53, 54])
async def test_a_bridge_that_stands_still_takes_nothing_from_the_client(real: Redis, seed: int) -> None:
    """Its requests fall into the next window, whose border is told rounded, and it misses what the client asks."""
    dice = Random(seed)
    upstream = Upstream(real, border=dice.randrange(MINUTE))
    await upstream.greedy(START + 2 * MINUTE, client_every=3000)
    spent = await upstream.greedy(START + 12 * MINUTE, client_every=3000, pauses=dice)
    assert upstream.refused == 0
    assert spent / 10 >= 0.55 * 40


async def test_the_idle_part_is_given_back_the_moment_the_client_wakes(real: Redis) -> None:
    """In the middle of a window it may at once go on at its own full share of what is left."""
    upstream = Upstream(real)
    await upstream.greedy(START + 3 * MINUTE)
    waking = upstream.begins + MINUTE + 30_000
    await upstream.greedy(waking)
    await upstream.greedy(waking + 2 * MINUTE, client_every=2500)
    assert upstream.refused == 0


async def test_requests_are_paced(upstream: Upstream) -> None:
    """A fifth of the limit at once when it is first used, later a tenth, and then one after the other."""
    grant = await upstream.budgets.spend("x", API, SINGLE * 60)
    assert len(grant.requests) == 12
    assert 0 < grant.wait_ms < 3000
    upstream.now += grant.wait_ms
    assert len((await upstream.budgets.spend("x", API, SINGLE * 60)).requests) == 1
    upstream.now += MINUTE
    assert len((await upstream.budgets.spend("x", API, SINGLE * 60)).requests) == 6


async def test_two_workers_share_one_budget(redis: Redis, upstream: Upstream) -> None:
    """Whoever asks, what the other spent is gone."""
    other = Budgets(redis, lambda _: "a", now_ms=lambda: upstream.now)
    first = await upstream.budgets.spend("x", API, SINGLE * 8)
    second = await other.spend("x", API, SINGLE * 8)
    assert (len(first.requests), len(second.requests)) == (8, 4)
    assert not set(first.requests) & set(second.requests)


async def test_accounts_and_limits_are_apart(upstream: Upstream) -> None:
    """ReelBot limits each of its addresses by itself."""
    downloads = Limit(name="download", requests=30, window_s=3600)
    await upstream.budgets.spend("x", API, SINGLE * 60)
    assert len((await upstream.budgets.spend("y", API, SINGLE * 60)).requests) == 12
    assert len((await upstream.budgets.spend("x", downloads, SINGLE * 60)).requests) == 6


async def test_a_429_quiets_the_account_until_its_reset(upstream: Upstream) -> None:
    """No request is granted before the reset, whatever the headers said before."""
    until = upstream.now + 20_000
    grant = await upstream.budgets.spend("x", API, SINGLE, reports=[RateReport(remaining=0, quiet_ms=until)])
    assert (grant.requests, grant.wait_ms) == ((), 20_000)
    upstream.now = until
    assert len((await upstream.budgets.spend("x", API, SINGLE)).requests) == 1
    view = await upstream.budgets.view("x", API, now_ms=upstream.now)
    assert (view.limited, view.quiet_ms) == (1, 0)


async def test_without_headers_the_documented_limit_holds_and_the_clients_part_is_left(real: Redis) -> None:
    """Without headers it is not known whether the client is idle, so its part is kept for it."""
    upstream = Upstream(real, headers=False)
    await upstream.greedy(START + MINUTE)
    assert 44 <= await upstream.greedy(START + 2 * MINUTE) <= 48
    assert upstream.refused == 0


async def test_another_limit_and_another_window_are_learned(real: Redis) -> None:
    """A login with 120 a minute, and one whose windows last 5 s."""
    wide = Upstream(real, limit=120)
    await wide.greedy(START + MINUTE)
    assert await wide.greedy(START + 2 * MINUTE, step=100) > 105
    await real.flushall()
    short = Upstream(real, limit=20, window=5000, border=0)
    await short.greedy(START + 30_000, step=50)
    assert await short.greedy(START + 60_000, step=50) > 0.8 * 6 * 20
    assert short.refused == 0


async def test_requests_of_a_dead_worker_are_forgotten(upstream: Upstream) -> None:
    """They had no answer; their time limit is long over."""
    for _ in range(8):
        await upstream.budgets.spend("x", API, SINGLE * 6, reports=[upstream_said(upstream)])
        upstream.now += 5000
    upstream.now += MINUTE
    grant = await upstream.budgets.spend("x", API, SINGLE * 6, reports=[upstream_said(upstream)])
    assert len(grant.requests) == 6


def upstream_said(upstream: Upstream) -> RateReport:
    upstream.ask()
    return upstream.said()


async def test_what_was_spent_is_counted_by_purpose(upstream: Upstream) -> None:
    """And shown, with what the headers say."""
    wanted = [Purpose.LIST, Purpose.SINGLE, Purpose.SINGLE]
    grant: Grant = await upstream.budgets.spend("x", API, wanted)
    upstream.ask()
    await upstream.budgets.spend("x", API, reports=[upstream.said(grant.requests[0])])
    view = await upstream.budgets.view("x", API, now_ms=upstream.now)
    assert (view.spent[Purpose.LIST], view.spent[Purpose.SINGLE], view.spent[Purpose.PROBE]) == (1, 2, 0)
    assert (view.limit, view.remaining, view.share) == (60, 59, 0.8)


async def test_the_servers_own_time_is_taken_in_service(redis: Redis) -> None:
    """So that workers on hosts with different clocks agree."""
    budgets = Budgets(redis, lambda _: "a")
    grant = await budgets.spend("x", API, SINGLE)
    seconds, _ = await redis.time()
    assert abs(grant.now_ms - 1000 * seconds) < 5000


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asks=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 9000)), min_size=20, max_size=60),
    border=st.integers(0, 59_999),
    sliding=st.booleans(),
)
async def test_no_pattern_of_asking_passes_the_limit(
    real: Redis, asks: list[tuple[int, int]], border: int, *, sliding: bool
) -> None:
    """In bursts or after pauses, wherever the window's border lies."""
    await real.flushall()
    upstream = Upstream(real, sliding=sliding, border=border)
    for count, pause in asks:
        grant = await upstream.budgets.spend("x", API, SINGLE * count)
        for request in grant.requests:
            allowed = upstream.ask()
            await upstream.budgets.spend("x", API, reports=[upstream.said(request, allowed=allowed)])
        upstream.now += pause
    assert upstream.refused == 0


async def asked(upstream: Upstream, wanted: int = 0, **more: Any) -> Grant:
    """Ask for requests with all that an `Ask` can say."""
    ask = Ask(account="x", limit=API, wanted=SINGLE * wanted, **more)
    return (await upstream.budgets.spend_many([ask]))[0]


async def test_no_more_are_in_flight_than_may_be(upstream: Upstream) -> None:
    """An answer makes room; until one comes it is soon asked again, since the budget itself has more."""
    first = await asked(upstream, 4, max_open=2)
    assert (len(first.requests), first.wait_ms) == (2, 100)
    assert (await asked(upstream, 4, max_open=2)).requests == ()
    answered = await asked(upstream, 4, max_open=2, reports=[RateReport(request=first.requests[0])])
    assert len(answered.requests) == 1
    assert (await asked(upstream)).wait_ms == 0  # nothing was asked for


async def test_a_crowd_in_flight_does_not_shorten_the_wait_for_the_budget(upstream: Upstream) -> None:
    """Once the burst is spent the pace is what counts."""
    first = await asked(upstream, 60, max_open=12)
    assert len(first.requests) == 12
    assert first.wait_ms >= first.ms_per_request > 100


async def test_answers_that_are_summed_up_count_as_if_each_were_reported(upstream: Upstream) -> None:
    """Their requests are in flight no more, and the budget stands as after a report of each."""
    granted = {account: await upstream.budgets.spend(account, API, SINGLE * 5) for account in "xy"}
    reset_ms = upstream.now + 40_000
    gathered = GatheredReports()
    each = []
    for number, left in enumerate((52, 50, 51, 49)):
        requests = granted["x"].requests[number], granted["y"].requests[number]
        rate = RateHeaders(limit=60, remaining=left, reset_ms=reset_ms)
        each.append(RateReport(request=requests[0], limit=60, remaining=left, reset_ms=reset_ms, shared=1))
        gathered.note(requests[1], rate, shared=1)
    await upstream.budgets.spend("x", API, reports=each)
    await upstream.budgets.spend("y", API, reports=gathered.take())
    names = [keys.budget("a", account, API.name) for account in "xy"]
    states = [await upstream.redis.hgetall(name) for name in names]  # type: ignore[misc]  # redis-py types both clients at once
    assert states[0] == states[1]
    assert states[0][b"client"] == b"6.000"  # of 60 there are 49 left, and 5 were the bridge's
    assert await upstream.redis.zrange(keys.budget_open("a", "y", API.name), 0, -1) == [
        granted["y"].requests[4].encode()
    ]


async def test_saved_requests_are_counted(upstream: Upstream) -> None:
    """By callbacks that share a read, and by pages that show many jobs; spending nothing tells them too."""
    await asked(upstream, reports=[RateReport(shared=2, batched=99), RateReport(batched=3)])
    await asked(upstream, 1, reports=[RateReport(shared=1)])
    view = await upstream.budgets.view("x", API, now_ms=upstream.now)
    assert (view.shared, view.batched) == (3, 102)


async def test_a_turn_stays_until_another_plan_tells_it(upstream: Upstream) -> None:
    """A call that only reports answers does not change the shown turn."""
    assert (await upstream.budgets.view("x", API, now_ms=upstream.now)).turn_ms == 0
    await asked(upstream, 1, turn_ms=12_345)
    await asked(upstream, reports=[RateReport()])
    assert (await upstream.budgets.view("x", API, now_ms=upstream.now)).turn_ms == 12_345
    await asked(upstream, 1, turn_ms=0)
    assert (await upstream.budgets.view("x", API, now_ms=upstream.now)).turn_ms == 0


async def test_the_pace_is_shown_as_it_was_granted(upstream: Upstream) -> None:
    """Before any request the documented one."""
    assert (await upstream.budgets.view("x", API, now_ms=upstream.now)).ms_per_request == 1000
    grant = await asked(upstream, 6)
    view = await upstream.budgets.view("x", API, now_ms=upstream.now)
    assert view.ms_per_request == pytest.approx(grant.ms_per_request, abs=1)
    assert grant.ms_per_request > 1000  # a fifth is the client's


async def test_a_limit_of_one_is_no_standstill(upstream: Upstream) -> None:
    """An edge's header, seen once: the account goes on, and learns better."""
    await upstream.budgets.spend(
        "x", API, reports=[RateReport(limit=1, remaining=0, reset_ms=upstream.now + 1000)]
    )
    upstream.now += 2 * MINUTE
    assert len((await upstream.budgets.spend("x", API, SINGLE)).requests) == 1


async def test_one_odd_reset_costs_nothing(real: Redis) -> None:
    """A single header that names the next hour does not make a minute's limit an hour's."""
    upstream = Upstream(real)
    await upstream.greedy(START + MINUTE)
    odd = RateReport(limit=60, remaining=30, reset_ms=upstream.now + 3_500_000)
    await upstream.budgets.spend("x", API, reports=[odd])
    await upstream.greedy(START + 3 * MINUTE)
    assert await upstream.greedy(START + 5 * MINUTE) >= 2 * 50
    assert upstream.refused == 0


@pytest.mark.parametrize("off_ms", [-900, -500, 900])
async def test_resets_may_be_rounded_and_clocks_differ_a_little(real: Redis, off_ms: int) -> None:
    """Neither we nor a client of 20 a minute are refused, and most of the rest is spent."""
    upstream = Upstream(real)
    upstream.begins -= off_ms
    await upstream.greedy(START + 2 * MINUTE, client_every=3000)
    spent = await upstream.greedy(START + 6 * MINUTE, client_every=3000)
    assert upstream.refused == 0
    assert spent / 4 >= 30


async def test_a_waiting_client_gets_all_or_none(upstream: Upstream) -> None:
    """A request for several is granted whole or not at all."""

    async def take(count: int) -> Grant:
        ask = Ask(account="x", limit=API, wanted=SINGLE * count, max_open=None)
        return (await upstream.budgets.spend_many((ask,)))[0]

    assert len((await take(40)).requests) == 40
    refused = await take(30)
    assert refused.requests == ()
    assert 0 < refused.wait_ms <= MINUTE
    assert len((await take(15)).requests) == 15


async def test_what_clients_send_through_leaves_so_much_less(redis: Redis) -> None:
    """It is taken for the client's use at once, fades with its window, and answers do not count it a second time."""
    upstream = Upstream(redis)
    await upstream.budgets.debit_many([("acc", API, 20), ("acc", API, 4)])
    assert await client_of(upstream) == 24
    hits = [upstream.ask() for _ in range(24)]
    assert all(hits)
    await upstream.budgets.spend("acc", API, reports=[upstream.said()])
    assert await client_of(upstream) == 24
    upstream.now += 2 * MINUTE
    await upstream.budgets.debit_many([("acc", API, 1)])
    view = await upstream.budgets.view("acc", API, now_ms=upstream.now)
    assert 1 < view.client_peak < 24


async def client_of(upstream: Upstream) -> int:
    return (await upstream.budgets.spend("acc", API)).client
