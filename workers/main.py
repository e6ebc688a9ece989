"""The worker: arq keeps the process and its rare jobs, two pumps do the work.

`arq workers.main.WorkerSettings` runs it, so does `reelbridge worker`.
"""

import asyncio
import os
import platform
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, ClassVar, cast

import structlog
from arq import cron
from arq.typing import WorkerCoroutine

from bridge.config.log import configure_logging
from bridge.config.settings import Settings, load_settings
from bridge.container import bootstrap, open_services
from bridge.services.context import Services
from bridge.store.errors import STORE_ERRORS
from bridge.store.queue.clock import StoreClock
from bridge.store.server.connect import arq_settings
from workers.arq_json import pack, unpack
from workers.arq_queue import open_queue
from workers.gc_tuning import tune_gc
from workers.handlers.deliver import DeliverHandler
from workers.handlers.poll import PollHandler
from workers.pump import Pump, is_cancelled
from workers.sweep import prove, tidy

POLL_SLOTS = 256  # an account has 16 at most, few once its upstream hangs, and the others still find room
SEND_SLOTS = 512
SUSPECT_SLOTS = 384
RESTART_S = 1.0
BEAT_EVERY_S = 5.0
TIDY_EVERY_MS = 10_000
STOP_GRACE_S = 32.0
WORKER = f"{platform.node()}:{os.getpid()}"

log = structlog.get_logger()


async def start(context: dict[str, Any]) -> None:
    """Open the tools, then start the pumps; arq calls it once its own connection stands."""
    settings: Settings = context["settings"] if "settings" in context else load_settings()
    configure_logging(settings)
    stack = context["stack"] = AsyncExitStack()
    clock = StoreClock()
    services = await stack.enter_async_context(open_services(settings, clock_ms=clock.now_ms))
    context["services"] = services
    await bootstrap(services)
    pumps = context["pumps"] = [
        Pump(services.store.poll, PollHandler(services), slots=POLL_SLOTS, clock=clock, shard_of=_poll_shard),
        Pump(
            services.store.dlv,
            DeliverHandler(services, suspects_at_most=SUSPECT_SLOTS),
            slots=SEND_SLOTS,
            clock=clock,
            shard_of=_send_shard,
        ),
    ]
    context["tasks"] = [
        *(asyncio.create_task(supervise(pump.run)) for pump in pumps),
        asyncio.create_task(supervise(lambda: keep_beating(services, clock))),
        asyncio.create_task(supervise(lambda: keep_tidying(services))),
    ]
    tune_gc()
    await beat(services, clock)  # last: `up` and /readyz tell clients by it that jobs are read
    log.info("worker.ready")


def _poll_shard(task: Any) -> str:
    return str(task.shard)


def _send_shard(task: Any) -> str:
    return str(task.delivery.record.id[4])


async def beat(services: Services, clock: StoreClock) -> None:
    """Show that this worker lives, and take over the store's time: a suspended machine's clock may have stood still."""
    await clock.ask(services.store.time_ms)
    await services.store.heartbeats.beat(WORKER, clock.now_ms())


async def keep_beating(services: Services, clock: StoreClock) -> None:
    """Beat again and again."""
    while not is_cancelled():
        await asyncio.sleep(BEAT_EVERY_S)
        await beat(services, clock)


async def keep_tidying(services: Services) -> None:
    """Finish what a crash left half done, one worker at a time.

    No job of arq's: those need memory, and it is retention that gives memory back to a full store.
    """
    while not is_cancelled():
        if await services.store.take_tick("tidy", services.clock_ms(), every_ms=TIDY_EVERY_MS):
            await tidy(services)
        await asyncio.sleep(TIDY_EVERY_MS / 1000)


async def supervise(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a loop for ever; one that ends by an error is started again."""
    while not is_cancelled():
        try:
            await run()
        except Exception:
            log.exception("worker.loop_restarted")
        await asyncio.sleep(RESTART_S)


async def stop(context: dict[str, Any]) -> None:
    """Drain: claim nothing more, let attempts in flight end, give back what was not begun."""
    await asyncio.gather(*(pump.stop(grace_s=STOP_GRACE_S) for pump in context.get("pumps", [])))
    await _end(context.get("tasks", []))
    if "services" in context:
        try:
            await context["services"].store.heartbeats.leave(WORKER)
        except STORE_ERRORS as error:
            log.warning("worker.left_unnoticed", error=type(error).__name__)
    if "stack" in context:
        await context["stack"].aclose()
    log.info("worker.stopped")


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """End tasks; told once, a task in the middle of a store's command may not have heard it."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=RESTART_S)


async def prove_tick(context: dict[str, Any]) -> dict[str, int]:
    """Prove that everything alive is scheduled; arq runs one tick for the whole fleet."""
    return await prove(context["services"])


class WorkerSettings:
    """What arq runs; its queue carries only rare work, never a poll or a delivery."""

    functions: ClassVar[list[Any]] = []
    cron_jobs: ClassVar[list[Any]] = [
        cron(cast("WorkerCoroutine", prove_tick), minute=set(range(0, 60, 5)), timeout=280, max_tries=2)
    ]
    on_startup = start
    on_shutdown = stop
    job_serializer = pack
    job_deserializer = unpack
    keep_result = 0
    job_completion_wait = 5
    health_check_interval = 30
    redis_settings = arq_settings(load_settings())
    redis_pool = open_queue(load_settings())
