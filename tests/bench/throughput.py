"""How much one worker on one core does, as ratios to bare aiohttp loops of the same run; prints a table in Markdown.

`python -m tests.bench.throughput` takes about five minutes; `--smoke` shows within seconds that it still runs. Rounds
are interleaved, so that what else the machine does hits both sides of a ratio.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

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
from tests.bench.meter import Meter, Speed
from tests.bench.polls import Polls, ready_to_poll
from tests.bench.registrations import Registrations, ready_to_register
from tests.bench.report import Row, percentile, write_table
from tests.bench.watching import Watching, measure_watching
from workers.gc_tuning import tune_gc

POLL_RATIO = 0.6
DELIVERY_RATIO = 0.7
BYTES_A_JOB = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What each round gave."""

    bare_reads: list[Speed] = field(default_factory=list)
    polls: list[Speed] = field(default_factory=list)
    bare_posts: list[Speed] = field(default_factory=list)
    deliveries: list[Speed] = field(default_factory=list)
    registrations: list[Speed] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


async def measure(size: Size, folder: Path) -> str:
    """Measure everything; gives the table."""
    cores = Cores.choose()
    with on_core(cores.other), running_stub(size.destinations) as stub, on_core(cores.worker):
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        rounds, endings, engine = Rounds(), [], await _name_engine(ground)
        async with (
            ready_to_poll(ground) as polls,
            ready_to_deliver(ground) as (deliveries, ended, body),
            ready_to_register(ground) as registrations,
        ):
            endings.append(ended)
            tune_gc()  # as the worker does; the bare loops have it too
            for number in range(size.rounds):
                _say(f"round {number + 1} of {size.rounds}")
                await _measure_round(ground, rounds, polls, deliveries, registrations, body=body)
            rounds.latencies_ms.extend(registrations.latencies_ms)
        _say(f"{size.watched_jobs:,} watched jobs")
        watching = await measure_watching(ground, able_per_s=_middle(rounds.polls))
    return write_table(_list_rows(size, rounds, endings, watching), engine=engine)


async def _measure_round(
    ground: Ground,
    rounds: Rounds,
    polls: Polls,
    deliveries: Deliveries,
    registrations: Registrations,
    *,
    body: bytes,
) -> None:
    """Measure each thing beside its bare loop."""
    size, stub = ground.size, ground.stub
    reads = Meter(warm_up=size.warm_up, measured=size.polls)
    rounds.bare_reads.append(await read_bare(stub, reads, slots=size.slots, jobs=size.polled_jobs))
    rounds.polls.append(await polls.measure(warm_up=size.warm_up, measured=size.polls))
    posts = Meter(warm_up=size.warm_up, measured=size.deliveries)
    rounds.bare_posts.append(await post_bare(stub, posts, slots=size.slots, body=body))
    rounds.deliveries.append(await deliveries.measure(warm_up=size.warm_up, measured=size.deliveries))
    rounds.registrations.append(
        await registrations.measure(warm_up=size.warm_up, measured=size.registrations)
    )


async def _name_engine(ground: Ground) -> str:
    async with running_store(ground, "look") as url:
        os.environ.update(make_environment(ground, url, poll_scale=1.0))
        async with connect(Settings(_env_file=None)) as redis:
            facts = await check_store(redis)
    return f"embedded {facts.engine} {facts.version} (AOF everysec, hz 100)"


def _middle(speeds: Sequence[Speed]) -> float:
    return sorted(each.per_s for each in speeds)[len(speeds) // 2]


def _list_rows(size: Size, rounds: Rounds, endings: Sequence[Speed], watching: Watching) -> list[Row]:
    jobs = f"{size.watched_jobs:,} watched jobs"
    lags = watching.lags_ms
    return [
        Row(name="bare GET loop", values=_rates(rounds.bare_reads), unit=" /s"),
        Row(name="polls", values=_rates(rounds.polls), unit=" /s"),
        Row(
            name="**polls, ratio to the bare loop**",
            values=_divide(rounds.polls, rounds.bare_reads, lambda each: each.per_s),
            digits=2,
            least=POLL_RATIO,
        ),
        Row(
            name="processor time a bare GET",
            values=[each.cpu_us for each in rounds.bare_reads],
            unit=" µs",
        ),
        Row(name="processor time a poll", values=[each.cpu_us for each in rounds.polls], unit=" µs"),
        Row(
            name="processor time a poll, ratio to a bare GET",
            values=_divide(rounds.polls, rounds.bare_reads, lambda each: each.cpu_us),
            digits=2,
        ),
        Row(name="bare POST + HMAC loop", values=_rates(rounds.bare_posts), unit=" /s"),
        Row(name="signed deliveries", values=_rates(rounds.deliveries), unit=" /s"),
        Row(
            name="**deliveries, ratio to the bare loop**",
            values=_divide(rounds.deliveries, rounds.bare_posts, lambda each: each.per_s),
            digits=2,
            least=DELIVERY_RATIO,
        ),
        Row(
            name="processor time a bare POST",
            values=[each.cpu_us for each in rounds.bare_posts],
            unit=" µs",
        ),
        Row(name="processor time a delivery", values=[each.cpu_us for each in rounds.deliveries], unit=" µs"),
        Row(
            name="processor time a delivery, ratio to a bare POST",
            values=_divide(rounds.deliveries, rounds.bare_posts, lambda each: each.cpu_us),
            digits=2,
        ),
        Row(
            name="polls that end a job (event and delivery written)",
            values=_rates(endings),
            unit=" /s",
        ),
        Row(name="registrations over HTTP, on disk", values=_rates(rounds.registrations), unit=" /s"),
        Row(
            name=f"registration, {size.slots} at once, p50",
            values=[percentile(rounds.latencies_ms, 0.5)],
            unit=" ms",
        ),
        Row(
            name=f"registration, {size.slots} at once, p99",
            values=[percentile(rounds.latencies_ms, 0.99)],
            unit=" ms",
        ),
        Row(
            name=f"{jobs}, polls done of {watching.offered_per_s:,.0f} /s due",
            values=[watching.polled_per_s],
            unit=" /s",
        ),
        Row(name=f"{jobs}, schedule lag p50", values=[percentile(lags, 0.5)], unit=" ms"),
        Row(name=f"{jobs}, schedule lag p99", values=[percentile(lags, 0.99)], unit=" ms"),
        Row(
            name=f"**{jobs}, bytes of Redis a job, registered**",
            values=[watching.bytes_registered],
            unit=" B",
            most=BYTES_A_JOB,
        ),
        Row(
            name=f"{jobs}, bytes of Redis a job, with its last object and poll log",
            values=[watching.bytes_read],
            unit=" B",
        ),
    ]


def _rates(speeds: Sequence[Speed]) -> list[float]:
    return [each.per_s for each in speeds]


def _divide(ours: Sequence[Speed], bare: Sequence[Speed], of: Callable[[Speed], float]) -> list[float]:
    return [of(mine) / of(least) for mine, least in zip(ours, bare, strict=True)]


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
