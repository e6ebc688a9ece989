"""The pump: claim due items, keep a fixed number of tasks busy with them, and settle them in batches.

It consists of independent loops: feeders claim pages of items from due lanes and load them, each slot works on one item
at a time, the flusher settles finished items. The leases of a worker that dies expire, and its items are claimed again.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic

import structlog
from msgspec.structs import replace

from bridge.store.cancellation import is_cancelled
from bridge.store.errors import STORE_ERRORS, StoreFull
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.lanes import BEGINS_WITHIN_S, Lanes, Settled
from workers.feeder import PAGE, Feeder
from workers.handler import Handler, Task
from workers.prefetch import Throughput

log = structlog.get_logger()

MOST_SETTLED = 500  # items of a settlement, during which the store does nothing else
STALE_S = (
    BEGINS_WITHIN_S  # an item that waited so long for a slot is given back: its lease must outlast its work
)
FLUSH_S = 0.02
STORE_BACKOFF_S = 0.5
FULL_RETRY_MS = 5000  # an item whose work the full store refused is tried again after this


class Pump(Generic[Task]):
    """Runs one queue's items through a handler until it is stopped."""

    def __init__(
        self,
        lanes: Lanes,
        handler: Handler[Task],
        *,
        slots: int,
        clock: StoreClock,
        shard_of: Callable[[Task], str],
    ) -> None:
        self._lanes = lanes
        self._handler = handler
        self._slots = slots
        self._shard_of = shard_of
        self._pace = Throughput()
        self._next: deque[tuple[float, Task]] = deque()  # loaded, with when; handed over bit by bit
        self._idle: list[asyncio.Future[tuple[float, Task]]] = []  # slots that wait for a task
        self._is_handing_over = False
        self._feeder = Feeder(
            lanes,
            handler,
            clock=clock,
            throughput=self._pace,
            take=self._take,
            settle_soon=self._settle_soon,
        )
        self._ended: dict[str, list[Settled]] = defaultdict(list)
        self._unsettled = asyncio.Event()
        self._stopping = False
        self._flushing = asyncio.Lock()

    async def run(self) -> None:
        """Run until cancelled; wait for a store that does not answer."""
        self._idle.clear()  # slots of a run before
        async with asyncio.TaskGroup() as group:
            for _ in range(self._handler.loads_at_once):
                group.create_task(self._forever("feeder", self._feeder.feed))
            group.create_task(self._forever("flusher", self._flush_soon))
            for _ in range(self._slots):
                group.create_task(self._slot())

    async def stop(self, *, grace_s: float) -> None:
        """Stop claiming, wait at most `grace_s` for items in flight, give back items that were not begun."""
        self._stopping = True
        self._feeder.stop()
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            if await self._is_drained():
                return
            await asyncio.sleep(FLUSH_S)

    async def _is_drained(self) -> bool:
        while self._next:
            _, task = self._next.popleft()
            self._feeder.begin()
            self._give_back(task)
        try:
            await self._flush()
        except STORE_ERRORS as error:
            log.warning("pump.store_unreachable", loop="stop", error=type(error).__name__)
            await asyncio.sleep(STORE_BACKOFF_S)
            return False
        return self._feeder.is_at_rest and not any(self._ended.values())

    async def _forever(self, name: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not is_cancelled():
            try:
                await step()
            except STORE_ERRORS as error:
                log.warning("pump.store_unreachable", loop=name, error=type(error).__name__)
                await asyncio.sleep(STORE_BACKOFF_S)
            except Exception:
                log.exception("pump.loop_failed", loop=name)
                await asyncio.sleep(STORE_BACKOFF_S)

    def _take(self, tasks: Sequence[Task]) -> None:
        """Take tasks that were loaded."""
        now = time.monotonic()
        self._next.extend((now, task) for task in tasks)
        if not self._is_handing_over:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give tasks to idle slots: some now, and some in each turn of the event loop.

        Where all slots begin at once, a turn lasts so long that the next page is not there when it ends.
        """
        for _ in range(min(self._handler.handed_at_once, len(self._next), len(self._idle))):
            slot = self._idle.pop()
            if not slot.done():  # it was cancelled
                slot.set_result(self._next.popleft())
        self._is_handing_over = bool(self._next and self._idle)
        if self._is_handing_over:
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _ask(self) -> asyncio.Future[tuple[float, Task]]:
        """Return a future of an idle slot's next task, with the time when that was loaded."""
        loop = asyncio.get_running_loop()
        slot: asyncio.Future[tuple[float, Task]] = loop.create_future()
        self._idle.append(slot)
        if self._next and not self._is_handing_over:
            self._is_handing_over = True
            loop.call_soon(self._hand_over)
        return slot

    async def _slot(self) -> None:
        me = asyncio.current_task()
        while not (me and me.cancelling()):  # as `is_cancelled`, without looking up the task each time
            # No variable holds an item while the slot is idle: each one would keep its last, a job's record of some
            # megabytes perhaps, until the next.
            next_task = self._ask()
            try:
                await next_task
            except asyncio.CancelledError:
                # The slot may have been cancelled between the hand-over and its beginning.
                if next_task.done() and not next_task.cancelled():
                    self._next.appendleft(next_task.result())
                raise
            await self._work_on(*next_task.result())

    async def _work_on(self, loaded_at: float, task: Task) -> None:
        self._feeder.begin()
        if self._stopping or time.monotonic() - loaded_at > STALE_S:
            self._give_back(task)
            return
        try:
            done = await self._handler.work(task)
        except STORE_ERRORS as error:
            # Nothing of it was written, so that it starts again as soon as the store is back.
            log.warning("pump.store_unreachable", loop="slot", error=type(error).__name__)
            await asyncio.sleep(STORE_BACKOFF_S)
            done = self._handler.give_back(task)
        except StoreFull:
            log.warning("pump.store_full")
            done = [replace(each, delay_ms=FULL_RETRY_MS) for each in self._handler.give_back(task)]
        except Exception:
            # The item is claimed again when its lease expires.
            log.exception("pump.item_failed")
            done = ()
        self._settle_soon(self._shard_of(task), done)
        self._pace.note_end()
        self._feeder.leave(task)

    def _give_back(self, task: Task) -> None:
        self._settle_soon(self._shard_of(task), self._handler.give_back(task))
        self._feeder.leave(task)

    def _settle_soon(self, shard: str, ended: Sequence[Settled]) -> None:
        if ended:
            self._ended[shard] += ended
            self._unsettled.set()

    async def _flush_soon(self) -> None:
        await self._unsettled.wait()
        if not any(len(ended) >= PAGE for ended in self._ended.values()):
            await asyncio.sleep(FLUSH_S)
        self._pace.measure(time.monotonic())
        await self._flush()

    async def _flush(self) -> None:
        # One at a time: `stop` must not find empty what the flusher has taken but not written yet.
        async with self._flushing:
            self._unsettled.clear()
            try:
                for shard in list(self._ended):
                    await self._flush_shard(shard)
            finally:
                if any(self._ended.values()):
                    self._unsettled.set()

    async def _flush_shard(self, shard: str) -> None:
        ended = self._ended[shard]
        batch, self._ended[shard] = ended[:MOST_SETTLED], ended[MOST_SETTLED:]
        if not batch:
            return
        try:
            fenced = await self._lanes.settle(shard, batch)
            if fenced:
                log.info("pump.fenced", count=len(fenced))
                late = set(fenced)
                batch = [each for each in batch if each.member in late]
                await self._handler.take_fenced(shard, batch)
        except STORE_ERRORS:
            self._ended[shard] = batch + self._ended[shard]  # settled again later, which is safe by the token
            raise
