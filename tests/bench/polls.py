"""Polls: jobs that are always due, read by the worker's own pump and handler."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bridge.services.context import Services
from bridge.store.queue.lanes import Settled
from bridge.store.records import Wanted
from tests.bench.ground import Bridge, Ground, Job, name_job, running_bridge
from tests.bench.meter import Meter, Speed
from workers.handlers.poll import PollHandler, Task
from workers.pump import Pump

ALWAYS_DUE = 0.00001  # of the documented intervals
MOST_FIRST_READS = 6  # reads for each job on average: jobs that are always due may let new ones wait long
FIRST_READS = 2  # the second one leaves the answer that the next ones find unchanged
STOP_GRACE_S = 10.0


class CountedPolling(PollHandler):
    """The worker's handler, as it is after some time of work, and a meter."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.meter = Meter(warm_up=0, measured=0)

    async def work(self, task: Task) -> Sequence[Settled]:
        settled = await super().work(task)
        self.meter.tick()
        return settled


def polling_pump(bridge: Bridge, handler: PollHandler, *, slots: int) -> Pump[Task]:
    """Give a pump as the worker has it."""
    return Pump(
        bridge.services.store.poll,
        handler,
        slots=slots,
        clock=bridge.clock,
        shard_of=lambda task: task.shard,
    )


async def pump_until_done(pump: Pump[Any], meter: Meter) -> None:
    """Run a pump until the meter is done, then stop it as the worker does."""
    running = asyncio.create_task(pump.run())
    try:
        await meter.wait()
    finally:
        await pump.stop(grace_s=STOP_GRACE_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Polls:
    """Measures reads of jobs that go on running."""

    def __init__(self, ground: Ground, bridge: Bridge) -> None:
        self._ground = ground
        self._bridge = bridge
        self._handler = CountedPolling(bridge.services)

    async def measure(self, *, warm_up: int, measured: int) -> Speed:
        """Read jobs as fast as the worker can."""
        meter = self._handler.meter = Meter(warm_up=warm_up, measured=measured)
        before, _ = self._ground.stub.counts()
        pump = polling_pump(self._bridge, self._handler, slots=self._ground.size.poll_slots)
        await pump_until_done(pump, meter)
        reads, _ = self._ground.stub.counts()
        assert reads - before >= measured, "a poll is a read upstream"
        return meter.speed()


@asynccontextmanager
async def ready_to_poll(ground: Ground) -> AsyncIterator[Polls]:
    """Watch the jobs and let each be read for the first times."""
    size = ground.size
    async with running_bridge(ground, "polls", poll_scale=ALWAYS_DUE) as bridge:
        jobs = [
            Job(
                account=bridge.accounts[number % size.accounts],
                id=name_job(number),
                url=ground.stub.hook(number),
            )
            for number in range(size.polled_jobs)
        ]
        await bridge.watch(jobs)
        polls = Polls(ground, bridge)
        for _ in range(MOST_FIRST_READS):
            if await _were_read(bridge, jobs):
                break
            await polls.measure(warm_up=1, measured=size.polled_jobs)
        yield polls


async def _were_read(bridge: Bridge, jobs: Sequence[Job]) -> bool:
    """Whether each job was read for the first times, which cost more than those that are measured."""
    names = [bridge.key(job.account, job.id) for job in jobs]
    logs = (await bridge.services.store.load_many(Wanted(logs=names))).logs
    return all(name in logs and logs[name].record.polls >= FIRST_READS for name in names)
