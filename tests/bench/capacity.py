"""What one to ten workers can do on one store: reckoned from the processor times of a poll, which are measured first.

`python -m tests.bench.capacity` runs one real worker and then two, whose jobs are always due, and takes the processor times of
workers and store from the system, so that other work on the machine changes little. With the times of the one worker it
simulates polls that wait for the store's core (claim), for a core of some worker, and for the store again (settle), and
looks for the rate at which 99 of 100 begin within 250 ms. The two workers show whether a poll costs the same with more of them.
"""

import argparse
import asyncio
import contextlib
import heapq
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Struct

from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from tests.bench.ground import (
    Bridge,
    Cores,
    Ground,
    Job,
    Size,
    make_environment,
    name_job,
    running_bridge,
    running_stub,
)
from tests.bench.polls import ALWAYS_DUE
from tests.bench.report import write_table

FULL = Size(polled_jobs=10_000, accounts=100, lag_s=15.0, polls=40_000)
SMOKE = Size(polled_jobs=200, accounts=4, lag_s=1.0, polls=2_000)
WORKERS: Final = (1, 2, 4, 10)
LAG_S: Final = 0.25  # within which 99 of 100 polls begin
JOBS: Final = 1_000_000
WARM_S: Final = 3.0
STEP: Final = 1.02  # between two rates that are tried
START: Final = 0.5  # of what the fullest core could do


class Costs(Struct, frozen=True, kw_only=True):
    """What was measured with some workers: polls a second, and the processor times of one in microseconds."""

    workers: int
    per_s: float
    worker_us: float
    store_us: float


class Reckoned(Struct, frozen=True, kw_only=True):
    """Polls a second of some workers, and how full their cores and the store's are then."""

    workers: int
    per_s: float
    worker_share: float
    store_share: float


async def measure(ground: Ground, workers: int) -> Costs:
    """Run real workers on jobs that are always due."""
    async with running_bridge(ground, f"workers{workers}", poll_scale=ALWAYS_DUE) as bridge:
        size = ground.size
        await bridge.watch(
            [
                Job(
                    account=bridge.accounts[number % size.accounts],
                    id=name_job(number),
                    url=ground.stub.hook(number),
                )
                for number in range(size.polled_jobs)
            ]
        )
        first, _ = ground.stub.counts()
        async with _running_workers(ground, bridge, workers) as processes:
            while ground.stub.counts()[0] - first < size.polled_jobs:  # noqa: ASYNC110 -- another process counts
                await asyncio.sleep(0.1)
            await asyncio.sleep(WARM_S)
            before = await _read_meters(ground, bridge, processes)
            await asyncio.sleep(size.lag_s)
            after = await _read_meters(ground, bridge, processes)
    took_s, polls, worker_s, store_s = (late - early for early, late in zip(before, after, strict=True))
    return Costs(
        workers=workers,
        per_s=polls / took_s,
        worker_us=worker_s / polls * 1e6,
        store_us=store_s / polls * 1e6,
    )


@contextlib.asynccontextmanager
async def _running_workers(
    ground: Ground, bridge: Bridge, count: int
) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    env = os.environ | make_environment(ground, bridge.url, poll_scale=ALWAYS_DUE)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((ground.folder / "workers.log").open("ab"))
        processes = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-m", "workers"], env=env, stdout=log, stderr=log)  # noqa: ASYNC220
            )
            for _ in range(count)
        ]
        try:
            yield processes
        finally:
            for each in processes:
                each.kill()


async def _read_meters(
    ground: Ground, bridge: Bridge, processes: Sequence[subprocess.Popen[bytes]]
) -> tuple[float, float, float, float]:
    """Return the time, the reads at the stub, and the processor times of all workers and of the store, in seconds."""
    found = await bridge.redis.info("cpu")
    store_s = float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
    worker_s = sum(_cpu_s(each.pid) for each in processes)
    return time.monotonic(), ground.stub.counts()[0], worker_s, store_s


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def simulate(costs: Costs, *, workers: int, per_s: float, polls: int, dice: random.Random) -> list[float]:
    """Return the seconds after which each of some polls begins that become due by chance at a rate.

    Each waits for the store (half of its cost, the claim), for whichever worker is free first, and for the store again.
    """
    worker_s, half_s = costs.worker_us / 1e6, costs.store_us / 2e6
    due_s, at_s = [], 0.0
    for _ in range(polls):
        at_s += dice.expovariate(per_s)
        due_s.append(at_s)
    asks = [(at, number, True) for number, at in enumerate(due_s)]  # sorted, so that it is a heap
    cores, store_free_s, lags = [0.0] * workers, 0.0, []
    while asks:
        at_s, number, is_claim = heapq.heappop(asks)
        store_free_s = max(at_s, store_free_s) + half_s
        if is_claim:
            begins_s = max(store_free_s, cores[0])
            heapq.heapreplace(cores, begins_s + worker_s)
            lags.append(begins_s - due_s[number])
            heapq.heappush(asks, (begins_s + worker_s, number, False))
    return lags


def reckon(costs: Costs, workers: int, *, polls: int) -> Reckoned:
    """Return the highest rate at which polls begin in time."""
    most = min(workers / costs.worker_us, 1 / costs.store_us) * 1e6
    best = per_s = most * START
    while per_s < most:
        lags = simulate(costs, workers=workers, per_s=per_s, polls=polls, dice=random.Random(1))
        if statistics.quantiles(lags, n=100)[98] > LAG_S:
            break
        best, per_s = per_s, per_s * STEP
    return Reckoned(
        workers=workers,
        per_s=best,
        worker_share=best * costs.worker_us / 1e6 / workers,
        store_share=best * costs.store_us / 1e6,
    )


def describe(points: Sequence[Costs], reckoned: Sequence[Reckoned]) -> str:
    """Return both tables."""
    measured = [
        (str(each.workers), f"{each.per_s:,.0f}", f"{each.worker_us:,.0f} µs", f"{each.store_us:,.0f} µs")
        for each in points
    ]
    rows = [
        (
            str(each.workers),
            f"{each.per_s:,.0f}",
            f"{each.worker_share:.0%}, {each.store_share:.0%}",
            f"{JOBS / each.per_s:,.0f} s",
        )
        for each in reckoned
    ]
    head = ("workers", "polls /s", "processor time of a poll, workers", "store")
    return "\n\n".join(
        [
            write_table(head, measured),
            write_table(
                ("workers", "polls /s", "cores of workers, of the store", "a million jobs are read every"),
                rows,
            ),
        ]
    )


async def _run(size: Size, folder: Path) -> str:
    with running_stub(size.destinations) as stub:
        ground = Ground(folder=folder, cores=Cores.choose(), stub=stub, size=size)
        points = [await measure(ground, workers) for workers in (1, 2)]
    return describe(points, [reckon(points[0], workers, polls=size.polls) for workers in WORKERS])


def main() -> None:
    """Measure, reckon, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it runs")
    size = SMOKE if parser.parse_args().smoke else FULL
    with tempfile.TemporaryDirectory() as folder, Path(folder, "worker.log").open("w") as log:
        configure_logging(Settings(_env_file=None), stream=log)
        print(uvloop.run(_run(size, Path(folder))))  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
