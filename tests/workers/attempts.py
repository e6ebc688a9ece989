"""A worker's part in one delivery, step by step: claim, load, send, settle."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery
from bridge.domain.ids import read_callback_job
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.store import keys
from bridge.store.queue.lanes import Settled
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, tell
from workers.handlers.deliver import DeliverHandler, SendTask


class HeldReceiver:
    """A receiver that answers each request only when it is told how; `paths` are those that were asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self._came: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()

    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        self.paths.append(request.path)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._came.put_nowait(answer)
        return web.Response(status=await answer)

    async def asked(self) -> "asyncio.Future[int]":
        """Wait for a request; set the status on what is returned."""
        async with asyncio.timeout(10):
            return await self._came.get()


@asynccontextmanager
async def held_receiver() -> AsyncIterator[HeldReceiver]:
    receiver = HeldReceiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Worker:
    """Makes the attempts of deliveries as the pump would, one at a time."""

    def __init__(self, api: Client) -> None:
        self.store = api.services.store
        self.handler = DeliverHandler(api.services, suspects_at_most=9)

    async def take(self, delivery: str, *, lease_ms: int = 0) -> SendTask | None:
        """Claim a delivery where it waits; None if it is not due."""
        lane = (await self.read(delivery)).lane
        shard = delivery[4]
        lease_ms = lease_ms or self.handler.lease_ms
        held = await self.store.dlv.claim(shard, [(lane, 9)], most=9, page=9, lease_ms=lease_ms)
        tasks, settled = await self.handler.load(shard, held)
        await self.settle(settled)
        return tasks[0] if tasks else None

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Settle as the pump does."""
        for each in settled:
            if await self.store.dlv.settle(each.member[4], [each]):
                await self.handler.take_fenced(each.member[4], [each])

    async def finish(self, task: SendTask) -> None:
        """Make the attempt and settle it."""
        await self.settle(await self.handler.work(task))

    async def read(self, delivery: str) -> Delivery:
        loaded = await self.store.load_delivery(delivery)
        assert loaded is not None
        return loaded.record


async def make_due(api: Client, callback: dict[str, Any], type_: str = "sync_job.completed") -> str:
    """Write an event of a callback and its delivery, which is due now in the lane of the URL."""
    store = api.services.store
    _, identifier = await tell(api, callback, type_)
    await store.redis.delete(keys.hold(callback["id"]))
    job = await store.load_job(read_callback_job(callback["id"]) or "")
    loaded = await store.load_delivery(identifier)
    assert loaded is not None
    assert job is not None
    subscription = next(each for each in job.record.callbacks if each.id == callback["id"])
    moved = replace(loaded.record, lane=lane_of(store.vault, loaded.record.project, subscription))
    unit = UnitOfWork(identifier[4], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_delivery(moved, loaded)
    unit.drop_attempt(loaded.record)
    unit.attempt_at(moved, 0, how="set")
    assert await store.committer.commit(unit.change()) == "done"
    return identifier
