"""The worker process: arq runs it and its periodic job, two pumps poll and deliver.

Started by `reelbridge worker` or `arq workers.main.WorkerSettings`.
"""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar, cast

import structlog
from arq import cron
from arq.typing import WorkerCoroutine

from bridge.config.descriptors import raise_descriptor_limit
from bridge.config.gc_tuning import tune_gc
from bridge.config.log import configure_logging
from bridge.config.settings import Settings, load_settings
from bridge.container import bootstrap, open_services
from bridge.services.accounts.budget_samples import sample_budgets
from bridge.services.context import Services
from bridge.services.following.reconcile_followed import reconcile as reconcile_followed
from bridge.services.starts import recovery
from bridge.store.cancellation import is_cancelled
from bridge.store.errors import STORE_ERRORS, StoreNotDurable
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.wakeups import listen
from bridge.store.server.connect import arq_settings
from workers.arq_queue import follow_primary, open_queue, read_job, write_job
from workers.handlers.deliver import DeliverHandler
from workers.handlers.poll import PollHandler
from workers.memory import run_trimming
from workers.pump import Pump
from workers.slots import POLL_SLOTS, count_send_slots
from workers.sweep import prove, tidy
from workers.tasks import RUN_TASK, run_ticks, take_up_requests
from workers.ticks import sleep_to_tick

RESTART_DELAY_S = 1.0
HEARTBEAT_INTERVAL_S = 5.0
TALLY_INTERVAL_S = 2.0
SAMPLE_INTERVAL_MS = 60_000
TIDY_INTERVAL_MS = 10_000
RESEAL_INTERVAL_MS = 2_000
RECOVERY_INTERVAL_S = 1.0
FOLLOWING_INTERVAL_MS = 2_000
STOP_GRACE_S = 32.0
OUTAGES = (*STORE_ERRORS, StoreNotDurable)
WORKER = f"{platform.node()}:{os.getpid()}"

T = TypeVar("T")
log = structlog.get_logger()


async def start(context: dict[str, Any]) -> None:
    """Open the services and start the pumps; arq calls this once it is connected."""
    settings: Settings = context["settings"] if "settings" in context else load_settings()
    configure_logging(settings)
    stack = context["stack"] = AsyncExitStack()
    clock = StoreClock()
    services = await when_there("start", lambda: _open(stack, settings, clock))
    context["services"] = services
    send_slots, suspects = count_send_slots(raise_descriptor_limit())
    pumps = context["pumps"] = [
        Pump(services.store.poll, PollHandler(services), slots=POLL_SLOTS, clock=clock, shard_of=_poll_shard),
        Pump(
            services.store.dlv,
            DeliverHandler(services, suspects_at_most=suspects),
            slots=send_slots,
            clock=clock,
            shard_of=_send_shard,
        ),
    ]
    context["tasks"] = [
        *(asyncio.create_task(supervise("pump", pump.run)) for pump in pumps),
        *(asyncio.create_task(supervise(name, run)) for name, run in _list_loops(context, clock).items()),
    ]
    tune_gc()
    # Last: from it `up` and /readyz conclude that jobs are polled.
    await when_there("start", lambda: send_heartbeat(services, clock))
    log.info("worker.ready")


async def _open(stack: AsyncExitStack, settings: Settings, clock: StoreClock) -> Services:
    async with AsyncExitStack() as opened:
        opening = open_services(settings, clock_ms=clock.now_ms, name="reelbridge-worker")
        services = await opened.enter_async_context(opening)
        await bootstrap(services)
        stack.push_async_exit(opened.pop_all())
    return services


async def when_there(name: str, do: Callable[[], Awaitable[T]]) -> T:
    """Return what a function returns; call it until the store is there for it."""
    while True:
        try:
            return await do()
        except STORE_ERRORS as error:
            log.warning("worker.store_unreachable", loop=name, error=type(error).__name__)
        await asyncio.sleep(RESTART_DELAY_S)


def _list_loops(
    context: dict[str, Any], clock: StoreClock
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    services: Services = context["services"]
    return {
        "wake-ups": lambda: listen((services.store.poll, services.store.dlv)),
        "heartbeats": lambda: run_heartbeats(services, clock),
        "tallies": lambda: run_tallies(services),
        "tidying": lambda: run_tidying(services),
        "resealing": lambda: run_resealing(services),
        "recovery": lambda: run_recovery(services),
        "tasks": lambda: run_ticks(services, context["redis"]),
        "following": lambda: run_following(services),
        "queue": lambda: follow_primary(context["redis"]),
        "memory": run_trimming,
    }


def _poll_shard(task: Any) -> str:
    return str(task.shard)


def _send_shard(task: Any) -> str:
    return str(task.delivery.record.id[4])


async def send_heartbeat(services: Services, clock: StoreClock) -> None:
    """Send this worker's heartbeat, and set the clock, which may have stopped while the machine was suspended."""
    await clock.ask(services.store.time_ms)
    await services.store.heartbeats.beat(WORKER, clock.now_ms())


async def run_heartbeats(services: Services, clock: StoreClock) -> None:
    """Send heartbeats until cancelled."""
    while not is_cancelled():
        await sleep_to_tick(HEARTBEAT_INTERVAL_S)
        await send_heartbeat(services, clock)


async def run_tallies(services: Services) -> None:
    """Write what this process counts to the store until cancelled; one worker at a time keeps what accounts spend."""
    while not is_cancelled():
        await sleep_to_tick(TALLY_INTERVAL_S)
        await services.store.tallies.flush()
        if await services.store.take_tick("sampling", services.clock_ms(), every_ms=SAMPLE_INTERVAL_MS):
            await sample_budgets(services)


async def run_tidying(services: Services) -> None:
    """Call `sweep.tidy` at intervals until cancelled, in one worker at a time.

    This is not a job of arq, because those need memory in the store, and tidying is what frees memory in a full one.
    """
    while not is_cancelled():
        if await services.store.take_tick("tidy", services.clock_ms(), every_ms=TIDY_INTERVAL_MS):
            await tidy(services)
        await sleep_to_tick(TIDY_INTERVAL_MS / 1000)


async def run_resealing(services: Services) -> None:
    """Have everything sealed under the newest master key whenever a process has started, until cancelled.

    Each start asks for it, that of an API too: one that ran with an older list of keys may have sealed with its first.
    """
    while not is_cancelled():
        if await services.store.take_tick("resealing", services.clock_ms(), every_ms=RESEAL_INTERVAL_MS):
            await take_up_requests(services)
        await sleep_to_tick(RESEAL_INTERVAL_MS / 1000)


async def run_recovery(services: Services) -> None:
    """Look for what uncertain starts began, until cancelled."""
    while not is_cancelled():
        for shard in services.store.shards:
            await recovery.sweep(services, shard)
        await sleep_to_tick(RECOVERY_INTERVAL_S)


async def run_following(services: Services) -> None:
    """Follow the personas that endpoints name, until cancelled; one worker at a time looks for changes."""
    while not is_cancelled():
        if await services.store.take_tick("following", services.clock_ms(), every_ms=FOLLOWING_INTERVAL_MS):
            await reconcile_followed(services)
        await sleep_to_tick(FOLLOWING_INTERVAL_MS / 1000)


async def supervise(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a loop until cancelled; restart it when it ends with an error."""
    while not is_cancelled():
        try:
            await run()
        except OUTAGES as error:
            log.warning("worker.store_unreachable", loop=name, error=type(error).__name__)
        except Exception:
            log.exception("worker.loop_restarted", loop=name)
        await asyncio.sleep(RESTART_DELAY_S)


async def stop(context: dict[str, Any]) -> None:
    """Claim nothing more, wait for attempts in flight, and return items that were not begun to the queue."""
    await asyncio.gather(*(pump.stop(grace_s=STOP_GRACE_S) for pump in context.get("pumps", [])))
    await _cancel(context.get("tasks", []))
    if "services" in context:
        await context["services"].store.tallies.flush()
        try:
            await context["services"].store.heartbeats.leave(WORKER)
        except STORE_ERRORS as error:
            log.warning("worker.left_unnoticed", error=type(error).__name__)
    if "stack" in context:
        await context["stack"].aclose()
    log.info("worker.stopped")


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended; a task that waits for the store may ignore the first cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=RESTART_DELAY_S)


async def prove_tick(context: dict[str, Any]) -> dict[str, int]:
    """Call `sweep.prove`; arq runs this once for all workers each time. An outage leaves the rest to the next time."""
    try:
        return await prove(context["services"])
    except OUTAGES as error:
        log.warning("worker.store_unreachable", loop="prove", error=type(error).__name__)
        return {}


class WorkerSettings:
    """arq's settings; its queue is used for tasks and a periodic job, not for polls and deliveries."""

    functions: ClassVar[list[Any]] = [RUN_TASK]
    cron_jobs: ClassVar[list[Any]] = [
        cron(cast("WorkerCoroutine", prove_tick), minute=set(range(0, 60, 5)), timeout=280, max_tries=2)
    ]
    on_startup = start
    on_shutdown = stop
    job_serializer = write_job
    job_deserializer = read_job
    keep_result = 0
    job_completion_wait = 5
    poll_delay = 1.0  # a task waits for it
    health_check_interval = 30
    redis_settings = arq_settings(load_settings())
    redis_pool = open_queue(load_settings())
