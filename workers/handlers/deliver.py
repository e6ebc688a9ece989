"""Delivering: signs due events and posts them, and lets the answer decide what comes next."""

import asyncio
import time
from collections.abc import Sequence
from itertools import islice

import structlog
from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.deliveries.lanes import is_origin_wide, read_origin
from bridge.domain.deliveries.origin_limits import DEFAULT_LIMITS
from bridge.domain.deliveries.records import Delivery
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge
from bridge.services.context import Services
from bridge.services.deliveries.after_attempt import (
    after_attempt,
    count_attempt,
    end_stranded,
    find_request_id,
    park_disabled,
    put_off_blocked,
)
from bridge.services.deliveries.attempt import Attempts, LoadedDeliveries, ReadyDelivery, load_ready
from bridge.services.deliveries.late_results import finish_late
from bridge.services.deliveries.pacing import pace
from bridge.services.requeue import move_to_url_lanes
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.store.errors import STORE_ERRORS, WriteConflict
from bridge.store.queue.fair_lanes import attempt_lease_ms
from bridge.store.queue.lanes import Claim, Item, Settled, lease_end_ms
from bridge.store.queue.settling import settle_attempt
from bridge.store.records import UNREADABLE_RETRY_MS, Loaded, UnreadableRecord
from workers.feeder import PAGE
from workers.handler import Place
from workers.pump import STORE_BACKOFF_S
from workers.turns import in_turns, order_visits

log = structlog.get_logger()

CHECKED_AFTER_S = 0.5  # after waiting for a slot so long, a change is likely enough to be worth a round trip
ROOM_SHARE = 0.25
MAX_PUT_OFF = 2_000  # any others are due again soon by themselves
MOST_VISITED = 2 * PAGE  # lanes at a time, however many attempts that may hang there is room for
MOST_OF_URL = DEFAULT_LIMITS.healthy.per_url // 2  # items of a page
HOLD_STEP_MS = 200  # how often a held first delivery is looked at again
NOT_ON_DISK_MS = 1_000  # the same for one whose job a slow disk does not have yet


class SendTask(Struct, frozen=True, kw_only=True, gc=False):
    """A claimed delivery, ready to be sent."""

    ready: ReadyDelivery
    token: bytes
    taken_s: float  # by the monotonic clock
    is_suspect: bool = False  # the attempt may well take its whole time-out
    is_probe: bool = False  # the breaker of its URL goes by it
    others: int = 0  # that wait for the same URL

    @property
    def delivery(self) -> Loaded[Delivery]:
        """The delivery as it was loaded."""
        return self.ready.delivery

    def back_in(self, delay_ms: int) -> Settled:
        """Return what puts it back into its lane, without an attempt."""
        return Settled(self.delivery.record.lane, self.delivery.record.id, self.token, delay_ms)


class DeliverHandler:
    """The pump's handler for the delivery queue: a lane is a URL of a project, a member a delivery's id."""

    loads_at_once = 1  # the next claim must know how many suspects this one has loaded
    handed_at_once = 8  # more: long turns, in which the next page is late; fewer: many turns
    lanes_seen = 1_000  # so that many URLs of one origin hide those of others for a moment only

    def __init__(self, services: Services, *, suspects_at_most: int) -> None:
        """Let attempts that may well hang take up at most so many of the pump's slots."""
        self._services = services
        self._attempts = Attempts(services)
        self._suspects_at_most = suspects_at_most
        self._suspects = 0
        self._put_off: dict[Place, None] = {}  # in order: lanes of suspects that found no room here
        self._unserved: set[Place] = set()  # visited since the last look, and nothing was taken from them
        self._log = log.bind()  # bound once: a lazy logger is made anew each time it is used
        self.lease_ms = attempt_lease_ms(services.settings.attempt_timeout)

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Share a page evenly; of many URLs leave half of each one's slots to the next page, claimed while this one is sent."""
        page = max(1, most // lanes)
        return most, min(page, MOST_OF_URL) if lanes * MOST_OF_URL >= PAGE else page

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Note which lanes are visited; return with each one for how many attempts that may hang there are slots, over all lanes."""
        self._unserved.update((shard, lane) for lane in lanes)
        left = self._room()
        return [(lane, left) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[SendTask], list[Settled]]:
        """Load the claimed deliveries; those that need no attempt, or must wait for one, are settled."""
        members = [item.member for item in claim.items]
        page = await load_ready(self._services.store, members, now_ms=claim.now_ms)
        tasks: list[SendTask] = []
        settled: list[Settled] = []
        moves: list[ReadyDelivery] = []
        taken_s = time.monotonic()
        for item in claim.items:
            ready = page.ready.get(item.member)
            if ready is None:
                settled.append(self._leave_out(item, page, claim))
            elif ready.delivery.record.lane != item.lane:  # moved since it was claimed
                settled.append(Settled(item.lane, item.member, claim.token, None))
            elif is_origin_wide(item.lane) or ready.has_moved:
                moves.append(ready)
            elif hold_ms := self._hold_ms(ready):
                settled.append(Settled(item.lane, item.member, claim.token, hold_ms))
            else:
                tasks.append(_make_task(ready, claim, taken_s))
        if moves:
            settled += await self._move(shard, claim.token, moves)
        waits = await pace(self._services, [task.ready for task in tasks])
        settled += [
            task.back_in(waits[task.delivery.record.id]) for task in tasks if task.delivery.record.id in waits
        ]
        tasks = [task for task in tasks if task.delivery.record.id not in waits]
        self._note_visits(shard, claim)
        tasks = in_turns(tasks, lambda task: task.delivery.record.lane)
        # Counted when nothing can fail any more: what is not returned never leaves.
        self._suspects += sum(task.is_suspect for task in tasks)
        return tasks, settled

    def _hold_ms(self, ready: ReadyDelivery) -> int:
        """Return after how long a first delivery that must wait is looked at again; 0: it is sent once its job is on disk."""
        if ready.is_new and self._services.store.durability.is_slow(ready.delivery.record.id):
            return NOT_ON_DISK_MS
        return min(ready.hold_ms, HOLD_STEP_MS)

    def _leave_out(self, item: Item, page: LoadedDeliveries, claim: Claim) -> Settled:
        """Return what to settle for a delivery that is over, or cannot be sent: its endpoint is off, a record is unreadable."""
        if item.member in page.unreadable:
            return Settled(item.lane, item.member, claim.token, UNREADABLE_RETRY_MS)
        leaving = (
            (page.disabled, park_disabled),
            (page.blocked, put_off_blocked),
            (page.stranded, end_stranded),
        )
        loaded, leave = next(
            ((kept[item.member], leave) for kept, leave in leaving if item.member in kept),
            (None, end_stranded),
        )
        if loaded is None or loaded.record.lane != item.lane:
            return Settled(item.lane, item.member, claim.token, None)
        delivery, delay_ms = leave(loaded.record, now_ms=claim.now_ms)
        return settle_attempt(delivery, loaded.record, claim.token, delay_ms)

    async def _move(self, shard: str, token: bytes, moves: Sequence[ReadyDelivery]) -> list[Settled]:
        """Move deliveries out of lanes of version 0.1 and of former URLs; return what to settle: those that others changed meanwhile."""
        vault = self._services.store.vault
        places = [
            (each.delivery, lane_of(vault, each.delivery.record.project, each.subscription)) for each in moves
        ]
        changed = await move_to_url_lanes(self._services, shard, token, places)
        return [Settled(each.lane, each.id, token, 0) for each in changed]

    def give_back(self, task: SendTask) -> Sequence[Settled]:
        """Let another worker send it now."""
        return (task.back_in(0),)

    async def _is_held(self, task: SendTask) -> bool:
        delivery = task.delivery.record
        due_ms = await self._services.store.dlv.due_of(delivery.id[4], delivery.lane, delivery.id)
        return due_ms == -lease_end_ms(task.token)

    def leave(self, task: SendTask) -> bool:
        """Make room for another suspect."""
        self._suspects -= task.is_suspect
        return bool(self._put_off) and task.is_suspect and self._has_room()

    def _has_room(self) -> bool:
        """Whether a claim of suspects is worth its round trips: they are taken a quarter of all at a time."""
        return self._room() >= self._suspects_at_most * ROOM_SHARE

    def _room(self) -> int:
        return max(0, self._suspects_at_most - self._suspects)

    def _note_visits(self, shard: str, claim: Claim) -> None:
        served = {(shard, item.lane) for item in claim.items}
        for place in served:
            self._put_off.pop(place, None)
        left = MAX_PUT_OFF - len(self._put_off)
        self._put_off |= dict.fromkeys((shard, lane) for lane in claim.put_off[:left])
        self._unserved -= served.union((shard, lane) for lane in claim.put_off)

    def choose(self, due: Sequence[Place]) -> Sequence[Place]:
        """Return lanes that were put off, as far as there is room, and due ones, in a fair order."""
        crowded = {read_origin(lane) for _, lane in self._unserved}
        self._unserved.clear()
        again = self.take_up()
        most = max(PAGE, min(self._room() - len(again), MOST_VISITED))
        visits = due if len(due) <= most else order_visits(due, crowded, most)
        return list(dict.fromkeys([*again, *visits]))

    def take_up(self) -> list[Place]:
        """Return as many lanes of suspects as there is room for; attempts that are answered at once make it soon."""
        if not self._put_off or not self._has_room():
            return []
        places = list(islice(self._put_off, self._room()))
        for place in places:
            del self._put_off[place]
        return places

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """Record results whose lease had ended, or was taken by a change of the delivery."""
        del shard
        for settled in fenced:
            try:
                await finish_late(self._services, settled)
            except (WriteConflict, UnreadableRecord):
                log.warning("delivery.late_not_recorded", delivery=settled.member)

    async def _attempt(self, task: SendTask, began_ms: int) -> tuple[ReceiverAnswer, Verdict]:
        answer = await self._attempts.make(task.ready, now_ms=began_ms)
        return answer, judge(answer, may_be_over=task.ready.may_be_over)

    async def _trace(
        self, task: SendTask, began_ms: int, request_id: str | None
    ) -> tuple[ReceiverAnswer, Verdict]:
        """Make an attempt in a span."""
        delivery = task.delivery.record
        with self._services.tracing.span(
            "deliver",
            delivery=delivery.id,
            event_id=delivery.event,
            type=task.ready.event.type,
            attempt=delivery.tries + 1,
            request_id=request_id,
        ) as note:
            answer, verdict = await self._attempt(task, began_ms)
            note(status=answer.status, failure=answer.failure, verdict=verdict.value)
        return answer, verdict

    async def work(self, task: SendTask) -> Sequence[Settled]:
        """Make one attempt and settle it; give back one that waited here while its delivery was changed."""
        is_new = task.ready.is_new
        if is_new and not await self._services.store.durability.is_durable(task.delivery.record.id):
            return (task.back_in(NOT_ON_DISK_MS),)
        # A store that was killed while this waited for its disk may lack the job now, and the lease with it.
        is_doubtful = is_new or time.monotonic() - task.taken_s > CHECKED_AFTER_S
        if is_doubtful and not await self._is_held(task):
            return self.give_back(task)
        began_ms = self._services.clock_ms()
        delivery = task.delivery.record
        request_id = find_request_id(delivery)
        if self._services.tracing.is_on:
            answer, verdict = await self._trace(task, began_ms, request_id)
        else:
            answer, verdict = await self._attempt(task, began_ms)
        self._log.info(
            "delivery.attempted",
            delivery=delivery.id,
            event_id=delivery.event,
            type=task.ready.event.type,
            callback=delivery.subscription,
            request_id=request_id,
            attempt=delivery.tries + 1,
            status=answer.status,
            failure=answer.failure,
            verdict=verdict.value,
            ms=answer.duration_ms,
        )
        count_attempt(self._services, delivery, answer, verdict)
        # From here on the answer exists only here: a store that is away must not cost it, or it is asked for twice.
        while True:
            try:
                settled = await after_attempt(
                    *(self._services, task.delivery, task.token, answer, verdict),
                    at_ms=began_ms,
                    others=task.others,
                )
            except STORE_ERRORS as error:
                log.warning("delivery.not_recorded", delivery=delivery.id, error=type(error).__name__)
                await asyncio.sleep(STORE_BACKOFF_S)
            else:
                return (replace(settled, probe=True) if task.is_probe else settled,)


def _make_task(ready: ReadyDelivery, claim: Claim, taken_s: float) -> SendTask:
    delivery = ready.delivery.record
    return SendTask(
        ready=ready,
        token=claim.token,
        taken_s=taken_s,
        is_suspect=delivery.lane in claim.risky or delivery.tries > 0,
        is_probe=delivery.lane in claim.probes,
        others=claim.waiting.get(delivery.lane, 1) - 1,
    )
