"""What a worker holds in memory while many large callbacks are delivered or retried; a real process is measured."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import (
    Bridge,
    Simulator,
    free_port,
    running_bridge,
    running_receiver,
)

pytestmark = pytest.mark.slow

LOG = logging.getLogger(__name__)
JOBS, CALLBACKS = 9, 100
GROWTH_MB = 100
GIVEN_BACK_MB = 45
WATCHED_S = 10.0
GIVEN_BACK_WITHIN_S = 30.0
# Each callback takes 20 KB in its job's record: URL, metadata and headers are about as large as they may be.
PATH = "p" * 3_900
METADATA = {"note": "m" * 3_900}
HEADERS = {f"x-{number}": "h" * 1_900 for number in range(4)}


@pytest.fixture
def bridge(simulator: Simulator, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge of this test alone, so that nothing else is in its worker's memory."""
    with running_bridge(simulator, tmp_path) as running:
        yield running


def rss_mb(pid: int) -> float:
    """Return the memory of a process that is in RAM, as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def register_many(bridge: Bridge, simulator: Simulator, base_url: str, *, jobs: int) -> None:
    """Register a hundred large callbacks for each of some jobs, which end once all are registered."""
    ids = [await simulator.make("sync_job", set={"status": "running"}) for _ in range(jobs)]
    for number in range(CALLBACKS):
        await bridge.register(
            job_ids=ids,
            callback_url=f"{base_url}/{number}/{PATH}",
            metadata=METADATA,
            headers=HEADERS,
            timeout_seconds=600,
        )
    for job in ids:
        await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})


async def watch_rss(pid: int, *, until_mb: float) -> tuple[float, float]:
    """Return the most and the last MB of a process, which is watched for 10 s, and longer until it is small again."""
    most = last = 0.0
    began = time.monotonic()
    while (took := time.monotonic() - began) < WATCHED_S or (last >= until_mb and took < GIVEN_BACK_WITHIN_S):
        last = rss_mb(pid)
        most = max(most, last)
        await asyncio.sleep(0.05)
    return most, last


@pytest.mark.timeout(300)
@pytest.mark.parametrize("jobs", [1, JOBS])
@pytest.mark.parametrize("receiver_is", ["closed", "answering"])
async def test_large_callbacks_take_little_memory(
    receiver_is: str, jobs: int, bridge: Bridge, simulator: Simulator
) -> None:
    """A hundred and nine hundred of them: the worker grows by at most 100 MB, and most of it is given back."""
    [worker] = bridge.pids(" worker")
    before = rss_mb(worker)
    async with running_receiver() as receiver:
        base_url = receiver.url if receiver_is == "answering" else f"http://127.0.0.1:{free_port()}"
        await register_many(bridge, simulator, base_url, jobs=jobs)
        most, last = await watch_rss(worker, until_mb=before + GIVEN_BACK_MB)
        if receiver_is == "answering":
            assert len({(each.path, each.event_id) for each in receiver.got}) == jobs * CALLBACKS
    grew = (
        f"{receiver_is}, {jobs} jobs: {before:.0f} MB before, at most {most:.0f} MB, {last:.0f} MB at the end"
    )
    LOG.info(grew)
    assert most - before < GROWTH_MB, grew
    assert last - before < GIVEN_BACK_MB, grew
