"""The pump: claim due items, keep a fixed number of tasks busy with them, and settle them in batches.

It consists of independent loops: the feeder claims pages of items from due lanes, each slot works on one item at a
time, the flusher settles finished items. The leases of a worker that dies expire, and its items are claimed again.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import structlog
from msgspec.structs import replace

from bridge.store.cancellation import is_cancelled
from bridge.store.errors import STORE_ERRORS, StoreFull
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.lanes import BEGINS_WITHIN_S, Claim, Lanes, Settled
from workers.prefetch import Throughput

Task = TypeVar("Task")
log = structlog.get_logger()

PAGE = 200  # items of a batch, at least, so that its round trips are shared by many
MOST_SETTLED = 500  # items of a settlement, during which the store does nothing else
STALE_S = (
    BEGINS_WITHIN_S  # an item that waited so long for a slot is given back: its lease must outlast its work
)
NAP_S = 0.02  # between two looks at a queue that had nothing due, so that a claim may take several items
# A queue is looked at so often at least: an older API sends no wake-ups, and messages get lost with connections.
MAX_SLEEP_S = 0.5
FLUSH_S = 0.02
STORE_BACKOFF_S = 0.5
FULL_RETRY_MS = 5000  # an item whose work the full store refused is tried again after this
LOAD_RETRY_MS = 1000  # a page that cannot be loaded is claimed again after this


class Handler(Protocol[Task]):
    """What a pump does with items: how to load a claimed page, and how to work on one item of it."""

    lease_ms: int

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Return the maximum of items for a claim over `lanes` lanes, and for one lane; the pump proposes `most`."""

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Return lanes, each with the number of its items that may be in flight; leave out those to skip."""

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        """Load a page's records; return the tasks, and what is to be settled without work."""

    def work(self, task: Task) -> Coroutine[Any, Any, Sequence[Settled]]:
        """Work on a task; return what is to be settled."""

    def give_back(self, task: Task) -> Sequence[Settled]:
        """Return what settles a task that was not begun, so that another worker may take its items now."""

    def leave(self, task: Task) -> bool:
        """Remove a task that was worked on or given back from any counts; return whether `take_up` has lanes now."""

    def take_up(self) -> list[tuple[str, str]]:
        """Return (shard, lane) that an earlier claim put off for want of room, and that there is room for now."""

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """Handle results that were not written, because their lease had ended."""


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
        self._clock = clock
        self._shard_of = shard_of
        self._pace = Throughput(slots)
        self._waiting: asyncio.Queue[tuple[float, Task]] = asyncio.Queue()
        self._room = asyncio.Event()
        self._loaded = 0
        self._ended: dict[str, list[Settled]] = defaultdict(list)
        self._unsettled = asyncio.Event()
        self._freed = asyncio.Event()
        self._stopping = False
        self._claiming = False
        self._flushing = asyncio.Lock()

    async def run(self) -> None:
        """Run until cancelled; wait for a store that does not answer."""
        self._room.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever("feeder", self._feed))
            group.create_task(self._forever("flusher", self._flush_soon))
            for _ in range(self._slots):
                group.create_task(self._slot())

    async def stop(self, *, grace_s: float) -> None:
        """Stop claiming, wait at most `grace_s` for items in flight, give back items that were not begun."""
        self._stopping = True
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            if await self._is_drained():
                return
            await asyncio.sleep(FLUSH_S)

    async def _is_drained(self) -> bool:
        while not self._waiting.empty():
            _, task = self._waiting.get_nowait()
            self._give_back(task)
        try:
            await self._flush()
        except STORE_ERRORS as error:
            log.warning("pump.store_unreachable", loop="stop", error=type(error).__name__)
            await asyncio.sleep(STORE_BACKOFF_S)
            return False
        return not (self._claiming or self._loaded or any(self._ended.values()))

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

    async def _feed(self) -> None:
        await self._room.wait()
        self._lanes.woken.clear()
        self._freed.clear()
        seen = [] if self._stopping else await self._lanes.peek()
        now_ms = self._clock.now_ms()
        due = {(shard, lane): None for shard, lane, wake_ms in seen if wake_ms <= now_ms}
        if not self._stopping:
            due |= dict.fromkeys(self._handler.take_up())
        if not due:
            await self._sleep((seen[0][2] - now_ms) / 1000 if seen else MAX_SLEEP_S)
            return
        got = 0
        by_shard: dict[str, list[str]] = defaultdict(list)
        for shard, lane in due:
            by_shard[shard].append(lane)
        for shard, lanes in by_shard.items():
            await self._room.wait()
            if not self._stopping:
                got += await self._claim(shard, lanes)
        if not got:
            await self._nap()

    async def _sleep(self, due_in_s: float) -> None:
        """Sleep until the queue's next visit, or until the store says that it has become earlier."""
        await self._nap()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(due_in_s, MAX_SLEEP_S) - NAP_S):
                await self._lanes.woken.wait()

    async def _nap(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(NAP_S):
                await self._freed.wait()

    async def _claim(self, shard: str, names: Sequence[str]) -> int:
        self._claiming = True
        began_s = time.monotonic()
        try:
            got = await self._claim_now(shard, names)
            if got:
                self._pace.note_claim(time.monotonic() - began_s)
            return got
        finally:
            self._claiming = False

    async def _claim_now(self, shard: str, names: Sequence[str]) -> int:
        capped = await self._handler.cap_lanes(shard, names)
        if not capped:
            return 0
        most, page = self._handler.share_claim(max(PAGE, self._pace.held), len(capped))
        lease_ms = self._handler.lease_ms
        claim = await self._lanes.claim(shard, capped, most=most, page=page, lease_ms=lease_ms)
        self._clock.set(claim.now_ms)
        if not claim.items and not claim.put_off:
            return 0
        try:
            tasks, settled = await self._handler.load(shard, claim)
        except Exception as error:
            # An error that comes again with each claim of the same items must leave room for others in between.
            delay_ms = 0 if isinstance(error, STORE_ERRORS) else LOAD_RETRY_MS
            self._settle_soon(
                shard, [Settled(item.lane, item.member, claim.token, delay_ms) for item in claim.items]
            )
            raise
        self._settle_soon(shard, settled)
        self._loaded += len(tasks)
        if self._loaded > self._pace.held:
            self._room.clear()
        now = time.monotonic()
        for task in tasks:
            self._waiting.put_nowait((now, task))
        return len(claim.items)

    async def _slot(self) -> None:
        me = asyncio.current_task()
        while not (me and me.cancelling()):  # as `is_cancelled`, without looking up the task each time
            # No variable here holds the item: each idle slot would keep its last one, a job's record of some megabytes
            # perhaps, until the next.
            waiting = self._waiting
            await self._work_on(*(await waiting.get() if waiting.empty() else waiting.get_nowait()))

    async def _work_on(self, loaded_at: float, task: Task) -> None:
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
        self._leave(task)

    def _give_back(self, task: Task) -> None:
        self._settle_soon(self._shard_of(task), self._handler.give_back(task))
        self._leave(task)

    def _settle_soon(self, shard: str, ended: Sequence[Settled]) -> None:
        if ended:
            self._ended[shard] += ended
            self._unsettled.set()

    def _leave(self, task: Task) -> None:
        if self._handler.leave(task):
            self._freed.set()
            self._lanes.woken.set()
        self._loaded -= 1
        if self._loaded <= self._pace.held:
            self._room.set()

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
