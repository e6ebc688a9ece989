"""A worker that has nothing to do: what it costs the machine."""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.store import keys
from tests.api.serving import Client, make_settings, serving
from tests.bench.meter import cpu_clock
from tests.store.conftest import Server
from tests.workers.worker_process import running_worker

JOBS = 1_000
HOUR_MS = 3_600_000
WATCHED_S = 5
# Of a worker that naps all the time there would be a hundred and more. Its share of a core says less: where the machine takes
# memory back from idle processes, the same wake-ups cost 0.6 to 2.9 % of one within the same hour.
MOST_COMMANDS = 40  # that the store gets in a second, also from the API; 13 to 26 were measured
MOST_WAKE_UPS = 20  # of a second; 3 to 5 were measured
MOST_AT_ONCE = 0.5  # of a second's processor time
QUIET_S = 0.01


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


async def watch_for_an_hour(api: Client) -> None:
    """Register jobs whose first reads were done, and that are read again in an hour."""
    store = api.services.store
    for first in range(0, JOBS, 100):
        status, _ = await api.call(
            "POST",
            "/v1/callbacks",
            json={"callback_url": "inbox:", "job_ids": [f"job-{first + n}" for n in range(100)]},
        )
        assert status == 201
    due_ms = await store.time_ms() + HOUR_MS
    [(shard, account, _)] = await store.poll.peek()
    lane = keys.lane(shard, "poll", account)
    await store.redis.zadd(lane, dict.fromkeys(await store.redis.zrange(lane, 0, -1), due_ms))
    await store.redis.zadd(keys.lanes(shard, "poll"), {account: due_ms})
    assert await store.poll.size(shard, account) == JOBS


async def until_started(spent_s: Callable[[], float]) -> None:
    """Wait until what a worker does at its start is done: half a second takes next to no processor time."""
    async with asyncio.timeout(30):
        before = -1.0
        while spent_s() - before > QUIET_S:
            before = spent_s()
            await asyncio.sleep(0.5)


async def count(api: Client, process: int) -> tuple[int, int]:
    """Return how many commands the store has had, and how often a process has gone to sleep: `status` of proc(5)."""
    commands = (await api.services.store.redis.info("stats"))["total_commands_processed"]
    threads = [each.read_text() for each in Path(f"/proc/{process}/task").glob("*/status")]  # noqa: ASYNC240 -- no disk behind it
    return commands, sum(
        int(each) for each in re.findall(r"^voluntary\S+\s+(\d+)", "".join(threads), re.MULTILINE)
    )


def subtract(now: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    return now[0] - before[0], now[1] - before[1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_idle_worker_sleeps(server: Server, api: Client) -> None:
    """With a thousand watched jobs that are due in an hour it sleeps in most seconds nearly all the time.

    What it does once in a while, such as its sweeps, falls into few of them.
    """
    await watch_for_an_hour(api)
    with running_worker(server.socket) as worker:
        spent_s = cpu_clock(worker.popen.pid)
        await until_started(spent_s)
        counts, shares = [await count(api, worker.popen.pid)], []
        for _ in range(WATCHED_S):
            began, before = time.monotonic(), spent_s()
            await asyncio.sleep(1)
            shares.append((spent_s() - before) / (time.monotonic() - began))
            counts.append(await count(api, worker.popen.pid))
        commands, wake_ups = zip(*map(subtract, counts[1:], counts), strict=True)
        assert statistics.median(commands) <= MOST_COMMANDS, commands
        assert statistics.median(wake_ups) <= MOST_WAKE_UPS, wake_ups
        assert max(shares) <= MOST_AT_ONCE, shares
        assert not [line for line in worker.lines if re.search("error|exception", line)]
