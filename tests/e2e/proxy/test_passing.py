"""Clients that go on polling, through the proxy: what they read spares the bridge its own reads, and ends nothing wrongly."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, Bridge, Simulator, running_bridge, running_simulator, until

pytestmark = pytest.mark.slow

SCALE = 0.1
INTERVAL_S = 15 * SCALE  # of a sync job
JOBS = 10
ROUNDS = 6
AUTH = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def faster_simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1 / SCALE) as running:
        yield running


@pytest.fixture(scope="module")
def faster_bridge(faster_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("passing")
    with running_bridge(faster_simulator, folder, REELBRIDGE_POLL_SCALE=str(SCALE)) as running:
        yield running


async def watch(bridge: Bridge, simulator: Simulator) -> str:
    """Make a job that runs until it is told otherwise, and watch it until the bridge has read it once; return its id."""
    job = await simulator.make("sync_job", set={"status": "running"})
    await bridge.register(job_id=job, callback_url="inbox:")

    async def was_read() -> bool:
        return bool(await count_reads(simulator, job))

    await until(was_read, within_s=10)
    return job


async def count_reads(simulator: Simulator, job: str) -> int:
    return int((await simulator.control("GET", f"/requests?id={job}"))["count"])


async def count_all(simulator: Simulator) -> int:
    return int((await simulator.control("GET", "/requests"))["count"])


async def poll(http: aiohttp.ClientSession, bridge: Bridge, job: str, query: str = "") -> Any:
    async with http.get(f"{bridge.url}/reelmirror/api/v1/sync-jobs/{job}{query}", headers=AUTH) as answer:
        assert answer.status == 200
        return await answer.json()


async def poll_often(bridge: Bridge, jobs: list[str]) -> int:
    """Poll some jobs as the documents' loops do, each at its pace; return how many reads that were."""

    async def loop(http: aiohttp.ClientSession, job: str) -> None:
        for _ in range(ROUNDS):
            await poll(http, bridge, job)
            await asyncio.sleep(INTERVAL_S)

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(loop(http, job) for job in jobs))
    return ROUNDS * len(jobs)


async def test_clients_that_poll_cost_no_second_read(
    faster_bridge: Bridge, faster_simulator: Simulator
) -> None:
    """The provider is asked at most a tenth more often than by the clients alone."""
    await faster_simulator.control(
        "PUT", "/switches", {"rate_api_key_per_minute": 100_000}
    )  # it holds nothing back
    jobs = [await watch(faster_bridge, faster_simulator) for _ in range(JOBS)]
    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(poll(http, faster_bridge, job) for job in jobs))
    before = await count_all(faster_simulator)
    asked = await poll_often(faster_bridge, jobs)
    assert await count_all(faster_simulator) - before <= 1.1 * asked


async def test_filtered_reads_conclude_nothing(faster_bridge: Bridge, faster_simulator: Simulator) -> None:
    """Neither a part of a job nor a list that leaves it out ends it; its ending comes from a whole answer, once."""
    job = await watch(faster_bridge, faster_simulator)
    lists = f"{faster_bridge.url}/reelmirror/api/v1/sync-jobs"
    until_s = time.monotonic() + 2 * INTERVAL_S
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < until_s:
            await poll(http, faster_bridge, job, "?fields=status")
            async with http.get(f"{lists}?status=completed", headers=AUTH) as answer:
                await answer.read()
            async with http.get(f"{lists}?limit=1&offset=500", headers=AUTH) as answer:
                await answer.read()
            await asyncio.sleep(INTERVAL_S / 2)
        status, shown = await faster_bridge.call("GET", f"/v1/jobs/sync_job/{job}")
        assert (status, shown["state"]) == (200, "watching"), shown
