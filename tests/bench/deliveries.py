"""Deliveries: events of ended jobs, signed and posted by the worker's own pump and handler."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bridge.services.context import Services
from bridge.services.deliveries.request import RequestBuilder
from bridge.services.subscriptions.lookup import find_subscription
from bridge.store.queue.lanes import Settled
from bridge.store.records import Wanted
from tests.bench.ground import Bridge, Ground, Job, name_job, running_bridge
from tests.bench.meter import Meter, Speed
from tests.bench.polls import CountedPolling, polling_pump, pump_until_done
from workers.handlers.deliver import DeliverHandler, SendTask
from workers.pump import Pump

SUSPECTS = 0.75  # of the slots, as in the worker
LATE = 3  # jobs a slot may still read: what it is at, and what it takes in the turns until the stop comes


class CountedDelivering(DeliverHandler):
    """The worker's handler, and a meter."""

    def __init__(self, services: Services, *, suspects_at_most: int) -> None:
        super().__init__(services, suspects_at_most=suspects_at_most)
        self.meter = Meter(warm_up=0, measured=0)

    async def work(self, task: SendTask) -> Sequence[Settled]:
        settled = await super().work(task)
        self.meter.tick()
        return settled


class Deliveries:
    """Measures signed POSTs; every delivery is a real record, made by a read that showed its job's end."""

    def __init__(self, ground: Ground, bridge: Bridge) -> None:
        self._ground = ground
        self._bridge = bridge
        slots = ground.size.send_slots
        self._handler = CountedDelivering(bridge.services, suspects_at_most=round(slots * SUSPECTS))
        self._polling = CountedPolling(bridge.services)
        self._ended = 0  # jobs so far

    async def end_enough(self, *, warm_up: int, measured: int) -> Speed:
        """End jobs for a `measure` with the same numbers: a stopped pump lets what is in flight end, uncounted."""
        size = self._ground.size
        late = max(LATE * size.poll_slots, size.send_slots)
        return await self.end_jobs(warm_up=warm_up, measured=measured + late, spare=late)

    async def measure(self, *, warm_up: int, measured: int) -> Speed:
        """Send what is due as fast as the worker can."""
        meter = self._handler.meter = Meter(warm_up=warm_up, measured=measured)
        _, before = self._ground.stub.counts()
        await pump_until_done(self._pump(), meter)
        _, posts = self._ground.stub.counts()
        assert posts - before == meter.count, "an attempt is a POST, and each delivery has one"
        return meter.speed()

    def _pump(self) -> Pump[SendTask]:
        return Pump(
            self._bridge.services.store.dlv,
            self._handler,
            slots=self._ground.size.send_slots,
            clock=self._bridge.clock,
            shard_of=lambda task: task.delivery.record.id[4],
        )

    async def end_jobs(self, *, warm_up: int, measured: int, spare: int = 0) -> Speed:
        """Register jobs that have ended, and read them: each read writes an event and a delivery.

        `spare` jobs keep the slots full until the last one that is measured; what is left of them ends next time.
        """
        size, bridge = self._ground.size, self._bridge
        first, self._ended = self._ended, self._ended + warm_up + measured + spare
        jobs = [
            Job(
                account=bridge.accounts[number % size.accounts],
                id=name_job(number, "ends"),
                url=self._ground.stub.hook(number),
            )
            for number in range(first, self._ended)
        ]
        callbacks = await bridge.watch(jobs)
        meter = self._polling.meter = Meter(warm_up=warm_up, measured=measured)
        await pump_until_done(polling_pump(bridge, self._polling, slots=size.poll_slots), meter)
        await bridge.wait_released(callbacks)
        return meter.speed()

    async def read_body(self, number: int) -> bytes:
        """Give the body that an ended job's delivery has."""
        bridge, store = self._bridge, self._bridge.services.store
        account = bridge.accounts[number % len(bridge.accounts)]
        [delivery] = await store.indexes.job_deliveries(bridge.key(account, name_job(number, "ends")))
        found = (await store.load_many(Wanted(deliveries=[delivery]))).deliveries[delivery].record
        page = await store.load_many(Wanted(events=[found.event], jobs=[found.job]))
        subscription = find_subscription(found, page, {})
        assert subscription is not None
        sealed = await RequestBuilder(bridge.services).build(
            page.events[found.event].record, subscription, resend=False, now_ms=bridge.clock.now_ms()
        )
        return sealed.body


@asynccontextmanager
async def ready_to_deliver(ground: Ground) -> AsyncIterator[Deliveries]:
    """Prove every destination."""
    async with running_bridge(ground, "deliveries", poll_scale=1.0) as bridge:
        deliveries = Deliveries(ground, bridge)
        count = ground.size.destinations
        await deliveries.end_jobs(warm_up=1, measured=count - 1)
        await deliveries.measure(warm_up=1, measured=count - 1)
        yield deliveries
