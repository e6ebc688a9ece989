"""The feeder of a pump: look which lanes are due, claim pages of their items, and load these ahead of the slots.

One page is claimed at a time, while others are still being loaded: a load takes several iterations of an event loop
that the slots keep busy, and slots that wait for it would stand idle.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic

from bridge.store.errors import STORE_ERRORS
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.lanes import Claim, Lanes, Settled
from workers.handler import Handler, Place, Task
from workers.prefetch import Throughput
from workers.ticks import seconds_to_tick

PAGE = 200  # items of a batch, and lanes of a look, at least: many share its round trips
NAP_S = 0.02  # between two looks at a queue that had nothing due, so that a claim may take several items
# A queue is looked at so often at least: an older API sends no wake-ups, and messages get lost with connections.
MAX_SLEEP_S = 1.0
CLAIMED = 1024  # the most items of a claim, unless more are begun while it is under way
LOAD_RETRY_MS = 1000  # a page that cannot be loaded is claimed again after this


class Feeder(Generic[Task]):
    """Loads tasks as long as there is room for more; `feed` is called again and again, by several loops at once."""

    def __init__(
        self,
        lanes: Lanes,
        handler: Handler[Task],
        *,
        clock: StoreClock,
        throughput: Throughput,
        take: Callable[[Sequence[Task]], None],
        settle_soon: Callable[[str, Sequence[Settled]], None],
    ) -> None:
        """Hand loaded tasks to `take`, and what needs no work to `settle_soon`."""
        self._lanes = lanes
        self._handler = handler
        self._clock = clock
        self._throughput = throughput
        self._take = take
        self._settle_soon = settle_soon
        self._turn = asyncio.Lock()  # held by the loop that looks, sleeps or claims
        self._due: dict[str, list[str]] = {}  # lanes by shard, of the last look, that were not visited yet
        self._was_in_vain = False  # whether no lane of the last look had an item that may be taken
        self._all_were_due = False  # whether the last look saw nothing but due lanes: there may be many more
        self._room = asyncio.Event()
        self._room.set()
        self._freed = asyncio.Event()
        self._stopping = False
        self._claiming = False
        self._loading = 0  # items of the pages that are being loaded
        self._places: set[Place] = set()  # their lanes
        self._waiting = 0  # tasks that were handed over and not begun
        self.loaded = 0  # tasks that were handed over and have not left

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True

    @property
    def is_at_rest(self) -> bool:
        """Whether no page is being claimed or loaded, and all tasks have left."""
        return not (self._claiming or self._loading or self.loaded)

    def begin(self) -> None:
        """Make room for another task: one of those that were handed over does not wait any more."""
        self._waiting -= 1
        self._note_room()

    def leave(self, task: Task) -> None:
        """Forget a task that was worked on or given back."""
        if self._handler.leave(task):
            self._freed.set()
            self._lanes.woken.set()
        self.loaded -= 1

    def _note_room(self) -> None:
        if self._waiting + self._loading > self._throughput.ahead:
            self._room.clear()
        else:
            self._room.set()

    async def feed(self) -> None:
        """Claim a page and load it, or sleep while there is none."""
        async with self._turn:
            await self._room.wait()
            shard, names = await self._next_lanes()
            if not names:
                return
            began_s = time.monotonic()
            self._claiming = True
            try:
                claim = await self._claim(shard, names)
            finally:
                self._claiming = False
        if claim is not None:
            await self._load(shard, claim)
            self._throughput.note_claim(time.monotonic() - began_s)

    async def _next_lanes(self) -> tuple[str, list[str]]:
        """Return a shard and some of its lanes that are due; no lanes where nothing is to be claimed now."""
        if not self._due:
            await self._look()
        if self._stopping:
            self._due.clear()
        if not self._due:
            return "", []
        shard = next(iter(self._due))
        # Two plans for the same lane at once would each count without the other what may be in flight there.
        return shard, [lane for lane in self._due.pop(shard) if (shard, lane) not in self._places]

    async def _look(self) -> None:
        """Ask the store which lanes are due; sleep if none is."""
        if self._was_in_vain:
            await self._nap()
        self._lanes.woken.clear()
        self._freed.clear()
        limit = self._handler.lanes_seen if self._all_were_due else PAGE
        seen = [] if self._stopping else await self._lanes.peek(limit=limit)
        now_ms = self._clock.now_ms()
        due = [(shard, lane) for shard, lane, wake_ms in seen if wake_ms <= now_ms]
        self._all_were_due = len(due) == len(seen) >= PAGE
        chosen = [] if self._stopping else self._handler.choose(due)
        by_shard: dict[str, list[str]] = defaultdict(list)
        for shard, lane in chosen:
            by_shard[shard].append(lane)
        self._due = dict(by_shard)
        self._was_in_vain = bool(chosen)
        if not chosen:
            await self._sleep((seen[0][2] - now_ms) / 1000 if seen else math.inf)

    async def _sleep(self, due_in_s: float) -> None:
        """Sleep until the queue's next visit, or until the store says that it has become earlier; a nap at least."""
        began_s = time.monotonic()
        most_s = seconds_to_tick(MAX_SLEEP_S, now_s=began_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(min(due_in_s, most_s), NAP_S)):
                await self._lanes.woken.wait()
        slept_s = time.monotonic() - began_s
        if slept_s < NAP_S:
            await self._nap(NAP_S - slept_s)

    async def _nap(self, seconds: float = NAP_S) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._freed.wait()

    async def _claim(self, shard: str, names: Sequence[str]) -> Claim | None:
        """Claim items of some lanes; return None where there was nothing to take."""
        capped = await self._handler.cap_lanes(shard, names)
        if not capped:
            return None
        most, page = self._handler.share_claim(max(CLAIMED, self._throughput.ahead), len(capped))
        lease_ms = self._handler.lease_ms
        claim = await self._lanes.claim(shard, capped, most=most, page=page, lease_ms=lease_ms)
        self._clock.set(claim.now_ms)
        if not claim.items and not claim.put_off:
            return None
        self._was_in_vain = self._was_in_vain and not claim.items
        return claim

    async def _load(self, shard: str, claim: Claim) -> None:
        places = {(shard, item.lane) for item in claim.items}
        self._places |= places
        self._loading += len(claim.items)
        self._note_room()
        try:
            tasks, settled = await self._handler.load(shard, claim)
        except Exception as error:
            # An error that comes again with each claim of the same items must leave room for others in between.
            delay_ms = 0 if isinstance(error, STORE_ERRORS) else LOAD_RETRY_MS
            self._settle_soon(
                shard, [Settled(item.lane, item.member, claim.token, delay_ms) for item in claim.items]
            )
            raise
        else:
            self._settle_soon(shard, settled)
            self.loaded += len(tasks)
            self._waiting += len(tasks)
            self._take(tasks)
        finally:
            self._places -= places
            self._loading -= len(claim.items)
            self._note_room()
