"""A million watched jobs on one node: memory, rate of registration, and how late they are read.

`python -m tests.bench.scale` (`make scale`) takes some minutes and 4 GB of memory. The jobs lie in a thousand accounts of
twenty projects. An account may read 60 times a minute: together 1,000 reads a second, so that each job is read every 1,000 s. A
tenth of the jobs has been read once before, with what that leaves in the store.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import uvloop

from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from tests.bench.ground import Cores, Ground, Size, on_core, running_stub
from tests.bench.report import write_table
from tests.bench.watching import LOAD, Watching, measure_watching

READS_PER_S = 1.0  # of an account: 60 a minute
FULL = Size(watched_jobs=1_000_000, projects=20, accounts=1_000, read_share=0.1, lag_s=40.0)
SMOKE = Size(watched_jobs=2_000, projects=2, accounts=20, read_share=0.1, lag_s=2.0)


async def measure(size: Size, folder: Path) -> Watching:
    """Return what was found at the rate that all accounts together may be read at."""
    cores = Cores.choose()
    with on_core(cores.other), running_stub(size.destinations) as stub:
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        with on_core(cores.worker):
            return await measure_watching(ground, able_per_s=size.accounts * READS_PER_S / LOAD)


def describe(size: Size, found: Watching) -> str:
    """Return the table."""
    lags = statistics.quantiles(found.lags_ms, n=100)
    rows = [
        ("watched jobs, projects, accounts", f"{size.watched_jobs:,}, {size.projects}, {size.accounts:,}"),
        ("registrations, 400 at once, on disk", f"{found.registered_per_s:,.0f} /s"),
        ("memory of the store a job, registered", f"{found.bytes_registered:,.0f} B"),
        ("memory of the store a job, with its last object and poll log", f"{found.bytes_read:,.0f} B"),
        (f"polls done, of {found.offered_per_s:,.0f} /s due", f"{found.polled_per_s:,.0f} /s"),
        ("schedule lag p50, p99", f"{lags[49]:,.0f} ms, {lags[98]:,.0f} ms"),
        ("processor time of the worker a poll", f"{found.worker_us:,.0f} µs"),
        ("processor time of the store a poll", f"{found.store_us:,.0f} µs"),
    ]
    return write_table(("measure", "figure"), rows)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it runs")
    size = SMOKE if parser.parse_args().smoke else FULL
    with tempfile.TemporaryDirectory() as folder, Path(folder, "worker.log").open("w") as log:
        configure_logging(Settings(_env_file=None), stream=log)
        print(describe(size, uvloop.run(measure(size, Path(folder)))))  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
