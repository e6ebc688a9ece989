"""Rounds of the bench in one process: each thing is measured beside what it is compared with.

`python -m tests.bench.rounds polls deliveries registrations endings` opens what these need, then measures one round for
each line on its input and prints it as JSON; `tests.bench.pair` runs two of these in turns.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import uvloop

from bridge.config.gc_tuning import tune_gc
from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from tests.bench.bare import post_bare, read_bare
from tests.bench.deliveries import Deliveries, ready_to_deliver
from tests.bench.ground import SIZES, Cores, Ground, on_core, running_stub
from tests.bench.meter import Meter, Speed
from tests.bench.polls import Polls, ready_to_poll
from tests.bench.registrations import Registrations, ready_to_register

# What each is compared with, measured in the same round.
BARE = {
    "polls": "bare GET",
    "endings": "bare GET",
    "deliveries": "bare POST",
    "registrations": "bare registrations",
}
Round = dict[str, Speed]


class Contestants:
    """What is open for the rounds of a run; what is None is not measured."""

    def __init__(
        self,
        ground: Ground,
        *,
        polls: Polls | None,
        deliveries: Deliveries | None,
        apis: tuple[Registrations, Registrations] | None,
    ) -> None:
        """`apis` are the bridge's and the bare one."""
        self._ground = ground
        self._polls = polls
        self._deliveries = deliveries
        self._apis = apis
        self.latencies_ms = apis[0].latencies_ms if apis else []
        self.body = b""

    async def measure(self) -> Round:
        """Measure one round, by the names of `BARE`."""
        size, stub, warm_up = self._ground.size, self._ground.stub, self._ground.size.warm_up
        found: Round = {}
        if self._polls or self._deliveries:
            reads = Meter(warm_up=warm_up, measured=size.polls)
            found["bare GET"] = await read_bare(stub, reads, slots=size.slots, jobs=size.polled_jobs)
        if self._polls:
            found["polls"] = await self._polls.measure(warm_up=warm_up, measured=size.polls)
        if self._deliveries:
            found["endings"] = await self._deliveries.end_enough(warm_up=warm_up, measured=size.deliveries)
            posts = Meter(warm_up=warm_up, measured=size.deliveries)
            found["bare POST"] = await post_bare(stub, posts, slots=size.slots, body=self.body)
            found["deliveries"] = await self._deliveries.measure(warm_up=warm_up, measured=size.deliveries)
        if self._apis:
            for name, api in zip(("registrations", "bare registrations"), self._apis, strict=True):
                found[name] = await api.measure(warm_up=warm_up, measured=size.registrations)
        return found


@asynccontextmanager
async def ready_to_measure(ground: Ground, what: Collection[str] = tuple(BARE)) -> AsyncIterator[Contestants]:
    """Open what some of `BARE` need."""
    async with AsyncExitStack() as stack:
        polls = deliveries = apis = None
        if "polls" in what:
            polls = await stack.enter_async_context(ready_to_poll(ground))
        if {"endings", "deliveries"} & set(what):
            deliveries = await stack.enter_async_context(ready_to_deliver(ground))
        if "registrations" in what:
            apis = await stack.enter_async_context(ready_to_register(ground))
        contestants = Contestants(ground, polls=polls, deliveries=deliveries, apis=apis)
        if deliveries:
            contestants.body = await deliveries.read_body(0)
        tune_gc()  # as the worker does; the bare loops have it too
        yield contestants


async def _answer(what: Collection[str], folder: Path) -> None:
    """Measure a round for each line of the input: the name of a size."""
    cores, size = Cores.choose(), SIZES[sys.stdin.readline().strip()]
    with on_core(cores.other), running_stub(size.destinations) as stub, on_core(cores.worker):
        ground = Ground(folder=folder, cores=cores, stub=stub, size=size)
        async with ready_to_measure(ground, what) as contestants:
            print("ready", flush=True)  # noqa: T201 -- whoever started it reads this
            while await asyncio.to_thread(sys.stdin.readline):
                found = await contestants.measure()
                print(json.dumps({name: asdict(speed) for name, speed in found.items()}), flush=True)  # noqa: T201 -- likewise


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, Path(name, "worker.log").open("w") as log:
        configure_logging(Settings(_env_file=None), stream=log)
        uvloop.run(_answer(sys.argv[1:], Path(name)))
