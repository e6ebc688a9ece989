"""How much one worker on one core does, as ratios to bare aiohttp loops of the same run; prints tables in Markdown.

`make bench` takes about ten minutes; `--smoke` shows within seconds that it still runs. Rounds are interleaved, so that
what else the machine does hits both sides of a ratio.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from bridge.store.server.connect import connect
from bridge.store.server.fitness import check_store
from tests.bench.end_to_end import measure_together
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
from tests.bench.queues.measure import PROGRAMS, Program, measure_queue
from tests.bench.report import describe_hardware, write_table
from tests.bench.rounds import Contestants, Round, ready_to_measure
from tests.bench.rows import Findings, list_queues, list_rows
from tests.bench.watching import measure_watching

HEAD = ("measure", "median (min–max)", "aim")  # noqa: RUF001 -- a range, as it is printed
QUEUES_HEAD = (
    "ratios to the bare loop of the same round",
    *("polls, rate", "polls, processor time", "deliveries, rate", "deliveries, processor time"),
)


async def measure(size: Size, folder: Path, programs: Sequence[Program]) -> str:
    """Measure everything, and return the tables."""
    cores = Cores.choose()
    with on_core(cores.other), running_stub(size.destinations) as stub:
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        with on_core(cores.worker):
            engine = await _name_engine(ground)
            async with ready_to_measure(ground) as contestants, running_store(ground, "queues") as store:
                rounds, queues = await _measure_rounds(ground, contestants, programs, store)
            _say(f"{size.watched_jobs:,} watched jobs")
            able_per_s = statistics.median(each["polls"].per_s for each in rounds)
            watching = await measure_watching(ground, able_per_s=able_per_s)
        _say(f"{size.ending_jobs:,} jobs that end together")
        with on_core(*cores.all):
            together = await measure_together(ground)
    found = Findings(
        rounds=rounds,
        latencies_ms=contestants.latencies_ms,
        watching=watching,
        together=together,
        queues={program.version(): rounds for program, rounds in zip(programs, queues, strict=True)},
    )
    table = write_table(HEAD, [row.cells() for row in list_rows(size, found)])
    return "\n\n".join([table, write_table(QUEUES_HEAD, list_queues(found)), describe_hardware(engine)])


async def _measure_rounds(
    ground: Ground, contestants: Contestants, programs: Sequence[Program], store: str
) -> tuple[list[Round], list[list[Round]]]:
    """Return the bridge's rounds with their bare loops, and each queue's."""
    ours: list[Round] = []
    theirs: list[list[Round]] = [[] for _ in programs]
    for number in range(ground.size.rounds):
        _say(f"round {number + 1} of {ground.size.rounds}")
        ours.append(await contestants.measure())
        for program, rounds in zip(programs, theirs, strict=True):
            rounds.append(await measure_queue(ground, program, redis_url=store, body=contestants.body))
    return ours, theirs


async def _name_engine(ground: Ground) -> str:
    async with running_store(ground, "look") as url:
        os.environ.update(make_environment(ground, url, poll_scale=1.0))
        async with connect(Settings(_env_file=None)) as redis:
            facts = await check_store(redis)
    return f"embedded {facts.engine} {facts.version} (AOF everysec, hz 100)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- who waits ten minutes wants to see it move


async def _measure_until_told(size: Size, folder: Path, programs: Sequence[Program]) -> str:
    """Measure; a SIGTERM ends what was started too."""
    running = asyncio.ensure_future(measure(size, folder, programs))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="tiny numbers: it runs, nothing more")
    parser.add_argument(
        "--queues", nargs="*", choices=list(PROGRAMS), default=list(PROGRAMS), help="compare with"
    )
    chosen = parser.parse_args()
    size = SMOKE if chosen.smoke else FULL
    programs = [PROGRAMS[name] for name in chosen.queues]
    with tempfile.TemporaryDirectory() as folder, Path(folder, "worker.log").open("w") as log:
        configure_logging(Settings(_env_file=None), stream=log)
        print(uvloop.run(_measure_until_told(size, Path(folder), programs)))  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
