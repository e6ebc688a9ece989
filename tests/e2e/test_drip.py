"""Many jobs of one account whose reads drip until they are given up, and healthy jobs beside them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.processes import (
    SCALE,
    Bridge,
    Receiver,
    Simulator,
    bridge_env,
    reelbridge,
    running_bridge,
    running_simulator,
    until,
)

pytestmark = pytest.mark.slow

JOBS = 30
NEW_JOBS = 44  # more than the places of their account, whatever they are shared by
DRIP_S = 120  # longer than any read may take
WATCHED_S = 35  # twice the 15 s after which a read is given up, and more
INTERVAL_S = 15 * SCALE
BOUND_S = INTERVAL_S + 10


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    """Run a simulator of its own for each test: jobs of another test would share the account's rate limit."""
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def bridge(upstream: Simulator, tmp_path: Path) -> Iterator[Bridge]:
    with running_bridge(upstream, tmp_path) as running:
        yield running


async def watched(bridge: Bridge, upstream: Simulator, receiver: Receiver) -> str:
    """Watch a job that runs on."""
    job = await upstream.make("sync_job", set={"status": "running"})
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/{job}", timeout_seconds=600)
    return job


async def drip(upstream: Simulator, job: str) -> None:
    await upstream.control("POST", "/faults", {"match": {"id": job}, "drip_s": DRIP_S})


async def reads_of(upstream: Simulator, job: str) -> list[float]:
    """When the simulator was asked for a job, in seconds."""
    seen = await upstream.control("GET", f"/requests?id={job}")
    return [float(each["mono_ms"]) / 1000 for each in seen["data"]]


async def longest_wait(upstream: Simulator, job: str) -> float:
    """Look on for a while and give the longest time between two reads of a job."""
    await upstream.control("DELETE", "/requests")
    began = (await until(lambda: reads_of(upstream, job), within_s=100))[-1]
    await asyncio.sleep(WATCHED_S)  # the time that is measured
    await until(lambda: has_read_after(upstream, job, began + WATCHED_S), within_s=100)
    return max(later - earlier for earlier, later in pairwise(await reads_of(upstream, job)))


async def has_read_after(upstream: Simulator, job: str, at_s: float) -> bool:
    return (await reads_of(upstream, job))[-1] >= at_s


@contextmanager
def more_workers(bridge: Bridge, upstream: Simulator, count: int) -> Iterator[None]:
    """Run further workers on the bridge's store."""
    (socket,) = bridge.data_dir.glob("store/*/s.sock")
    keys = (bridge.data_dir / "master-keys").read_text().strip()
    shared = {"REELBRIDGE_REDIS_URL": f"unix://{socket}", "REELBRIDGE_MASTER_KEYS": keys}
    port = int(bridge.url.rpartition(":")[2])
    env = bridge_env(upstream, bridge.data_dir, port, **shared)
    workers = [reelbridge("worker", env=env, cwd=bridge.data_dir) for _ in range(count)]
    try:
        for worker in workers:
            worker.wait_for("worker.ready")
        yield
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.timeout(300)
async def test_dripping_reads_delay_the_healthy_jobs_of_their_account_by_a_bounded_time(
    bridge: Bridge, upstream: Simulator, receiver: Receiver
) -> None:
    """New jobs that drip from their first read, and one that was healthy before: an interval + 10 s at most.

    Four workers read the account side by side, and the bound is the account's.
    """
    with more_workers(bridge, upstream, 3):
        await delay_a_healthy_job(bridge, upstream, receiver)


async def delay_a_healthy_job(bridge: Bridge, upstream: Simulator, receiver: Receiver) -> None:
    healthy = await watched(bridge, upstream, receiver)
    await until(lambda: reads_of(upstream, healthy))
    for _ in range(NEW_JOBS):
        job = await upstream.make("sync_job", set={"status": "running"})
        await drip(upstream, job)
        await bridge.register(job_id=job, callback_url=f"{receiver.url}/{job}", timeout_seconds=600)
    assert await longest_wait(upstream, healthy) <= BOUND_S
    newcomer = await watched(bridge, upstream, receiver)
    await until(lambda: reads_of(upstream, newcomer), within_s=BOUND_S)
    await upstream.control("PATCH", f"/jobs/sync_job/{newcomer}", {"status": "completed"})
    await receiver.wait(f"/{newcomer}", within_s=2 * BOUND_S)


@pytest.mark.timeout(300)
async def test_healthy_jobs_that_begin_to_drip_delay_the_others_by_a_bounded_time(
    bridge: Bridge, upstream: Simulator, receiver: Receiver
) -> None:
    """All were quick, then thirty drip at once."""
    jobs = [await watched(bridge, upstream, receiver) for _ in range(JOBS + 1)]
    for job in jobs:
        await until(lambda job=job: reads_of(upstream, job))  # type: ignore[misc]  # bound now
    for job in jobs[1:]:
        await drip(upstream, job)
    assert await longest_wait(upstream, jobs[0]) <= BOUND_S
