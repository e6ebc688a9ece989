"""A hundred thousand watched jobs: what they cost the store, and how late they are read under half of the load."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.transition import advance
from bridge.domain.subscriptions.endpoint_table import NO_ENDPOINTS
from bridge.providers.read import read_answer
from bridge.providers.registry import KINDS
from bridge.services.context import Services, kind_traits
from bridge.services.jobs.new_events import write_advance
from bridge.services.polling.single_poll import SinglePollTask
from bridge.services.queries import NO_LOG
from bridge.store import keys
from bridge.store.queue.lanes import Claim, Settled
from bridge.store.records import Wanted
from bridge.store.unit_of_work import UnitOfWork
from tests.bench.ground import QUIET_S, REGISTERED_AT_ONCE, Bridge, Ground, Job, name_job, running_bridge
from tests.bench.polls import STOP_GRACE_S, polling_pump
from tests.bench.stub import write_job
from workers.handlers.poll import PollHandler, Task

KIND = KINDS["sync_job"]
STEP = 200
START_IN_MS = 1_000  # until then the reads are being spread
SETTLE_IN_S = 2.0  # of the lag run, before lags count
LOAD = 0.5  # of what the worker can do


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What was found; lags in ms, rates a second, the processor times of a poll in microseconds."""

    registered_per_s: float
    bytes_registered: float
    bytes_read: float
    offered_per_s: float
    polled_per_s: float
    worker_us: float
    store_us: float
    lags_ms: Sequence[float]


class TimedPolling(PollHandler):
    """The worker's handler; notes how long after its due time each read began."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._clock_ms = services.clock_ms
        self.lags_ms: list[float] = []
        self._due_ms: dict[str, int] = {}

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        for item in claim.items:
            self._due_ms.setdefault(
                item.member, abs(item.due_ms)
            )  # where it first stood, however often put back
        return await super().load(shard, claim)

    async def work(self, task: Task) -> Sequence[Settled]:
        if isinstance(
            task, SinglePollTask
        ):  # else it asks once whether the upstream has a list of sync jobs: it has none
            self.lags_ms.append(self._clock_ms() - self._due_ms.pop(task.held.key))
        return await super().work(task)


async def measure_watching(ground: Ground, *, able_per_s: float) -> Watching:
    """Register the jobs, read each or some once, spread them over one interval, and read them on time."""
    size = ground.size
    interval_s = size.watched_jobs / (able_per_s * LOAD)
    scale = interval_s / KIND.timing.interval_s
    read_first = round(size.watched_jobs * size.read_share)
    async with running_bridge(ground, "watched", poll_scale=scale) as bridge:
        empty = await _used_bytes(bridge)
        began_s = time.monotonic()
        # So many that each account has a request's worth of them, as clients would send them.
        together = max(10 * STEP, REGISTERED_AT_ONCE * size.accounts // 2)
        for first in range(0, size.watched_jobs, together):
            await bridge.watch(_list_jobs(ground, bridge, first, together))
        registered_s = time.monotonic() - began_s
        registered = await _used_bytes(bridge)
        for first in range(0, read_first, STEP):
            await _read_once(bridge, _list_jobs(ground, bridge, first, STEP), interval_s)
        read = await _used_bytes(bridge)
        await _spread(ground, bridge, interval_s)
        on_time = await _poll_on_time(ground, bridge)
    bytes_registered = (registered - empty) / size.watched_jobs
    return Watching(
        registered_per_s=size.watched_jobs / registered_s,
        bytes_registered=bytes_registered,
        bytes_read=bytes_registered + (read - registered) / read_first,
        offered_per_s=size.watched_jobs / interval_s,
        polled_per_s=len(on_time.lags_ms) / size.lag_s,
        worker_us=on_time.worker_us,
        store_us=on_time.store_us,
        lags_ms=on_time.lags_ms,
    )


def _list_jobs(ground: Ground, bridge: Bridge, first: int, count: int) -> list[Job]:
    last = min(first + count, ground.size.watched_jobs)
    return [
        Job(
            account=bridge.accounts[number % len(bridge.accounts)],
            id=name_job(number, "waits"),
            url=ground.stub.hook(number),
        )
        for number in range(first, last)
    ]


async def _used_bytes(bridge: Bridge) -> int:
    """Give the store's memory once the holds of the registrations, which last a second, are gone."""
    while True:
        space = (await bridge.redis.info("keyspace")).get("db0", {})
        if not space.get("expires"):
            return int((await bridge.redis.info("memory"))["used_memory"])
        await asyncio.sleep(QUIET_S)


async def _spread(ground: Ground, bridge: Bridge, interval_s: float) -> None:
    """Spread the next reads evenly over one interval from now; what came before took longer than that."""
    store, total = bridge.services.store, ground.size.watched_jobs
    start_ms = bridge.clock.now_ms() + START_IN_MS
    by_account: dict[str, dict[str, int]] = {account: {} for account in bridge.accounts}
    for number, job in enumerate(_list_jobs(ground, bridge, 0, total)):
        due_ms = start_ms + round(number / total * interval_s * 1000)
        by_account[job.account][bridge.key(job.account, job.id)] = due_ms
    for account, dues in by_account.items():
        shard = store.shard_of(account)
        await bridge.redis.zadd(keys.lane(shard, "poll", account), dues)
        await bridge.redis.zadd(keys.lanes(shard, "poll"), {account: min(dues.values())})


async def _read_once(bridge: Bridge, jobs: Sequence[Job], interval_s: float) -> None:
    """Write what a first read leaves."""
    services, now_ms = bridge.services, bridge.clock.now_ms()
    names = [bridge.key(job.account, job.id) for job in jobs]
    loaded = (await services.store.load_many(Wanted(jobs=names))).jobs
    at = PollContext(begun_ms=now_ms, now_ms=now_ms, took_ms=3, digest=b"12345678")
    changes = []
    for name, job in zip(names, jobs, strict=True):
        body = write_job(job.id.encode())
        result = read_answer(KIND, job_id=job.id, http_status=200, headers={}, body=body, now_ms=now_ms)
        moved = advance(
            loaded[name].record,
            NO_LOG,
            result,
            key=name,
            at=at,
            traits=kind_traits(KIND.name),
            scale=services.time_scale,
        )
        draft = UnitOfWork(name[0], now_ms=now_ms, retention_s=services.settings.retention)
        write_advance(services, draft, name, loaded[name], moved=moved, at=at, table=NO_ENDPOINTS)
        draft.poll_at(name, moved.job, round(interval_s * 1000), how="set")
        changes.append(draft.change())
    assert set(await services.store.committer.commit_many(changes)) == {"done"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTime:
    """Lags in ms of the reads of a while, and the processor time of each in microseconds."""

    lags_ms: Sequence[float]
    worker_us: float
    store_us: float


async def _poll_on_time(ground: Ground, bridge: Bridge) -> OnTime:
    handler = TimedPolling(bridge.services)
    pump = polling_pump(bridge, handler, slots=ground.size.poll_slots)
    running = asyncio.create_task(pump.run())
    try:
        await asyncio.sleep(SETTLE_IN_S)
        handler.lags_ms.clear()
        worker_s, store_s = time.process_time(), await _store_cpu_s(bridge)
        await asyncio.sleep(ground.size.lag_s)
        worker_s, store_s = time.process_time() - worker_s, await _store_cpu_s(bridge) - store_s
        lags_ms = list(handler.lags_ms)
    finally:
        await pump.stop(grace_s=STOP_GRACE_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    polls = max(1, len(lags_ms))
    return OnTime(lags_ms=lags_ms, worker_us=worker_s / polls * 1e6, store_us=store_s / polls * 1e6)


async def _store_cpu_s(bridge: Bridge) -> float:
    """Return the processor time that the store has spent."""
    found = await bridge.redis.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
