"""One pause for one 429: the budget records it, the lane's gate follows, and every worker keeps to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.container import open_services
from bridge.domain.polling.rate_limit import Bucket, Limit, RateReport
from bridge.services.accounts.pause import report_responses
from bridge.services.context import Services
from bridge.store import keys
from bridge.store.queue.clock import StoreClock
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server
from workers.handlers.poll import PollHandler, Task
from workers.pump import Pump

API = Limit(name="api", requests=60, window_s=60)
JOB = "/v1/sync-jobs/"
PAUSE_S = 300
LATE_MS = 60_000  # a loaded machine may take a while between two looks at the clock


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


@asynccontextmanager
async def second_worker(bench: Bench) -> AsyncIterator[Bench]:
    """Another process's services and handler on the same store."""
    async with open_services(bench.api.services.settings) as services:
        yield replace(bench, polling=PollHandler(services))


async def register(bench: Bench, *job_ids: str) -> list[str]:
    return [await bench.register(each, "sync_job") for each in job_ids]


def running(job_id: str) -> dict[str, object]:
    return {"data": {"id": job_id, "status": "running", "progress": 10}}


async def gate_ms(bench: Bench, key: str) -> int:
    """Return the time until which the lane of a job's account is blocked, 0 when it is not."""
    account = (await bench.job(key)).account
    return (await bench.api.services.store.poll.blocked(key[0], [account])).get(account, 0)


async def recorded_ms(bench: Bench, key: str) -> int:
    """Return the time until which the budget of a job's account grants nothing, 0 when it grants."""
    services, account = bench.api.services, (await bench.job(key)).account
    return (await services.store.budgets.view(account, API, now_ms=services.clock_ms())).quiet_ms


async def open_lane(bench: Bench, key: str) -> None:
    """Remove the lane's gate and make all of its jobs due."""
    account = (await bench.job(key)).account
    await bench.api.services.store.poll.unblock(key[0], account, due_all=True)


async def test_the_budget_records_a_pause_and_the_gate_follows_from_it(bench: Bench) -> None:
    """A lost gate comes back from the record, in any worker; without the record there is no pause at all."""
    (one,) = await register(bench, "s1")
    bench.upstream.lay(JOB + "s1", {}, status=429, Retry_After=str(PAUSE_S))
    async with second_worker(bench) as other:
        assert await bench.turn() == [JOB + "s1"]
        until_ms = await recorded_ms(bench, one)
        assert until_ms > bench.api.services.clock_ms()
        assert until_ms <= await gate_ms(bench, one) < until_ms + LATE_MS
        for worker in (bench, other):
            assert await worker.turn() == [], "the gate is closed"
        for worker in (bench, other):
            await open_lane(worker, one)
            assert await gate_ms(worker, one) == 0
            assert await worker.turn() == [], "the budget grants nothing"
            assert until_ms <= await gate_ms(worker, one) < until_ms + LATE_MS
        assert await recorded_ms(bench, one) == until_ms
        account = (await bench.job(one)).account
        await bench.api.services.store.redis.delete(keys.budget(one[0], account, API.name))
        await open_lane(bench, one)
        assert await other.turn() == [JOB + "s1"]


def pumping(bench: Bench, services: Services) -> Pump[Task]:
    return Pump(
        services.store.poll,
        bench.polling,
        slots=8,
        clock=StoreClock(),
        shard_of=lambda task: task.shard,
    )


async def test_nothing_is_read_before_the_reset_by_either_of_two_workers(bench: Bench) -> None:
    """And after it every job is read: none of them has failed."""
    loop, refused_s = asyncio.get_running_loop(), 0.0
    asked_s: dict[str, float] = {}

    async def note_429() -> None:
        nonlocal refused_s
        refused_s = refused_s or loop.time()

    def note_read(name: str) -> None:
        async def note() -> None:
            asked_s.setdefault(name, loop.time())

        bench.upstream.meanwhile[JOB + name] = note

    bench.upstream.meanwhile[JOB + "s0"] = note_429
    bench.upstream.lay(JOB + "s0", {}, status=429, Retry_After="3")
    bench.upstream.lay(JOB + "s0", running("s0"))
    names = [f"s{number}" for number in range(1, 7)]
    for name in names:
        bench.upstream.lay(JOB + name, running(name))
        note_read(name)
    (first,) = await register(bench, "s0")
    async with second_worker(bench) as other, asyncio.TaskGroup() as group:
        workers = [group.create_task(pumping(worker, bench.api.services).run()) for worker in (bench, other)]
        async with asyncio.timeout(30):
            while not await recorded_ms(bench, first):  # noqa: ASYNC110  # only the store knows
                await asyncio.sleep(0.01)
            later = await register(bench, *names)
            while set(asked_s) != set(names):  # noqa: ASYNC110  # the upstream is another task
                await asyncio.sleep(0.01)
        for worker in workers:
            worker.cancel()
    assert min(asked_s.values()) - refused_s >= 2.9
    assert [(await bench.job(key)).ending for key in (first, *later)] == [""] * 7


async def test_a_429_that_a_probe_meets_pauses_the_account(bench: Bench) -> None:
    """The read that tries a refused key again is granted by no budget; its 429 pauses the account all the same."""
    (key,) = await register(bench, "s1")
    health, account, now_ms = (
        bench.api.services.store.health,
        (await bench.job(key)).account,
        bench.api.services.clock_ms(),
    )
    for begun_ms in (now_ms, now_ms + 1):
        await health.note_refused(account, now_ms, begun_ms=begun_ms)
    bench.upstream.lay(JOB + "s1", {}, status=429, Retry_After=str(PAUSE_S))
    assert await bench.turn() == [JOB + "s1"]
    until_ms = await recorded_ms(bench, key)
    assert until_ms > bench.api.services.clock_ms()
    assert await gate_ms(bench, key) >= until_ms


async def test_a_limit_of_some_polls_leaves_the_others_alone(bench: Bench) -> None:
    """Where an account has several limits its lane stays open, and the paused limit grants nothing."""
    (key,) = await register(bench, "s1")
    services, account = bench.api.services, (await bench.job(key)).account
    until_ms = services.clock_ms() + PAUSE_S * 1000
    said = [RateReport(remaining=0, quiet_ms=until_ms)]
    await report_responses(services, {Bucket(account, API, is_only=False): said})
    assert (await gate_ms(bench, key), await recorded_ms(bench, key)) == (0, until_ms)
    await report_responses(services, {Bucket(account, API): []})
    assert await gate_ms(bench, key) >= until_ms
