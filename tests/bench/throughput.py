"""How much one worker on one core does, as ratios to bare aiohttp loops of the same run; prints a table in Markdown.

`python -m tests.bench.throughput` takes about five minutes; `--smoke` shows within seconds that it still runs. Rounds
are interleaved, so that what else the machine does hits both sides of a ratio.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bridge.config.gc_tuning import tune_gc
from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from bridge.store.server.connect import check_store, connect
from tests.bench.bare import post_bare, read_bare
from tests.bench.deliveries import Deliveries, ready_to_deliver
from tests.bench.ground import (
    FULL,
    SMOKE,
    Cores,
    Ground,
    Size,
    make_environment,
    on_core,
    running_store,
    running_stub,
)
from tests.bench.meter import Meter
from tests.bench.polls import Polls, ready_to_poll
from tests.bench.registrations import Registrations, ready_to_register
from tests.bench.report import write_table
from tests.bench.rows import Rounds, list_rows
from tests.bench.watching import measure_watching


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a round measures."""

    polls: Polls
    deliveries: Deliveries
    registrations: Registrations
    bare_registrations: Registrations


async def measure(size: Size, folder: Path) -> str:
    """Measure everything; gives the table."""
    cores = Cores.choose()
    with on_core(cores.other), running_stub(size.destinations) as stub, on_core(cores.worker):
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        rounds, engine = Rounds(), await _name_engine(ground)
        async with (
            ready_to_poll(ground) as polls,
            ready_to_deliver(ground) as deliveries,
            ready_to_register(ground) as (registrations, bare),
        ):
            measured = Measured(
                polls=polls, deliveries=deliveries, registrations=registrations, bare_registrations=bare
            )
            body = await deliveries.read_body(0)
            tune_gc()  # as the worker does; the bare loops have it too
            for number in range(size.rounds):
                _say(f"round {number + 1} of {size.rounds}")
                await _measure_round(ground, rounds, measured, body=body)
            rounds.latencies_ms.extend(registrations.latencies_ms)
        _say(f"{size.watched_jobs:,} watched jobs")
        able_per_s = statistics.median(each.per_s for each in rounds.polls)
        watching = await measure_watching(ground, able_per_s=able_per_s)
    return write_table(list_rows(size, rounds, watching), engine=engine)


async def _measure_round(ground: Ground, rounds: Rounds, measured: Measured, *, body: bytes) -> None:
    """Measure each thing beside its bare loop."""
    size, stub, warm_up = ground.size, ground.stub, ground.size.warm_up
    reads = Meter(warm_up=warm_up, measured=size.polls)
    rounds.bare_reads.append(await read_bare(stub, reads, slots=size.slots, jobs=size.polled_jobs))
    rounds.polls.append(await measured.polls.measure(warm_up=warm_up, measured=size.polls))
    rounds.endings.append(await measured.deliveries.end_enough(warm_up=warm_up, measured=size.deliveries))
    posts = Meter(warm_up=warm_up, measured=size.deliveries)
    rounds.bare_posts.append(await post_bare(stub, posts, slots=size.slots, body=body))
    rounds.deliveries.append(await measured.deliveries.measure(warm_up=warm_up, measured=size.deliveries))
    for api, speeds in (
        (measured.bare_registrations, rounds.bare_registrations),
        (measured.registrations, rounds.registrations),
    ):
        speeds.append(await api.measure(warm_up=warm_up, measured=size.registrations))


async def _name_engine(ground: Ground) -> str:
    async with running_store(ground, "look") as url:
        os.environ.update(make_environment(ground, url, poll_scale=1.0))
        async with connect(Settings(_env_file=None)) as redis:
            facts = await check_store(redis)
    return f"embedded {facts.engine} {facts.version} (AOF everysec, hz 100)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- who waits five minutes wants to see it move


async def _measure_until_told(size: Size, folder: Path) -> str:
    """Measure; a SIGTERM ends what was started too."""
    running = asyncio.ensure_future(measure(size, folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny numbers: it runs, nothing more")
    size = SMOKE if parser.parse_args().smoke else FULL
    with tempfile.TemporaryDirectory() as folder, Path(folder, "worker.log").open("w") as log:
        configure_logging(Settings(_env_file=None), stream=log)
        print(uvloop.run(_measure_until_told(size, Path(folder))))  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
