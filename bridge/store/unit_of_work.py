"""Collect the conditions and writes of one change to a shard, and repeat it after a conflict."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from bridge.domain.deliveries.records import Delivery, find_trouble
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.callbacks import callbacks_by_id
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.starts.records import OPEN_MS, Start, expires_ms
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.store import feed_keys, keys, start_keys
from bridge.store.commit import (
    Change,
    Committer,
    Delete,
    Drop,
    Due,
    Grow,
    Guard,
    Holding,
    Lease,
    Op,
    Put,
    Rank,
    Unrank,
)
from bridge.store.endpoint_deliveries import deliver_to, list_indexes, mark_parked
from bridge.store.endpoints.endpoints import guard_epoch
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.records import Loaded, pack, pack_job, pack_object
from bridge.store.tables.indexes import rank_callback, unrank_callback, url_member
from bridge.store.tables.outbox import outbox_member
from bridge.store.trouble import trouble_keys
from bridge.store.trouble.trouble_marks import mark_delivery, unmark_delivery

T = TypeVar("T")
How = Literal["set", "sooner", "absent", "first"]
MAX_TRIES = 20
QUICK_TRIES = 4  # without a pause between them
FIRST_PAUSE_S = 0.01
MAX_PAUSE_S = 0.2
_JOB_KEYS = (keys.job, keys.poll_log, keys.observed, keys.job_events, keys.job_deliveries)


class UnitOfWork:
    """Conditions and writes for one shard, committed in one atomic step."""

    def __init__(self, shard: str, *, now_ms: int, retention_s: int) -> None:
        self.shard = shard
        self.now_ms = now_ms
        self._retention_ms = retention_s * 1000
        self._guards: list[Guard] = []
        self._ops: list[Op] = []
        self._lease: Lease | None = None
        self._held: list[Holding] = []
        self.made = 0  # jobs that had no record
        self.events: list[str] = []  # ids of new ones, to be published after the commit
        self.grown = 0  # bytes by which job records become larger

    def change(self) -> Change:
        """Return what was collected, ready to be committed."""
        return Change(self.shard, tuple(self._guards), tuple(self._ops), self._lease, tuple(self._held))

    def require_lease(self, lease: Lease) -> None:
        """Write nothing unless the caller still has the lease of this item."""
        self._lease = lease

    def require_held(self, delivery: Delivery, due_ms: int | None) -> None:
        """Write nothing if an attempt of a delivery has been taken or has ended since `due_ms` was read."""
        self._held.append(Holding("dlv", delivery.lane, delivery.id, -min(0, due_ms or 0)))

    def put_job(self, key: str, job: Job, loaded: Loaded[Job] | None) -> None:
        """Write a job, if it is as it was loaded (None: if it still does not exist)."""
        self._guards.append(Guard(keys.job(key), loaded.raw if loaded else None))
        self.made += loaded is None
        packed = pack_job(job)
        if loaded is None or packed != loaded.raw:
            self._ops.append(Put(keys.job(key), packed))
            self._count_bytes(job.project, len(packed) - (len(loaded.raw) if loaded else 0))

    def _count_bytes(self, project: str, growth: int) -> None:
        self.grown += growth
        if growth:
            self._ops.append(Grow(keys.job_bytes(self.shard, project), growth))

    def put_log(self, key: str, log: PollLog) -> None:
        """Write a job's poll log."""
        self._ops.append(Put(keys.poll_log(key), pack(log)))

    def put_object(self, key: str, data: Mapping[str, Any]) -> None:
        """Write a job's last observed object."""
        self._ops.append(Put(keys.observed(key), pack_object(data)))

    def poll_at(self, key: str, job: Job, delay_ms: int, *, how: How) -> None:
        """Schedule a job's next poll; it is then no longer among the ended jobs."""
        self._ops.append(Due("poll", job.account, key, delay_ms, how))
        self._ops.append(Unrank(keys.ended(self.shard), key))

    def retire(self, key: str, job: Job) -> None:
        """Take a job out of the queue; it stays readable until its retention ends."""
        self._ops += [
            Drop("poll", job.account, key),
            Unrank(keys.expected(self.shard, job.account), key),
            Rank(keys.ended(self.shard), key, self.now_ms + self._retention_ms),
        ]

    def expect(self, key: str, job: Job, at_ms: int | None) -> None:
        """List a job by when most like it would have ended; None: its run has ended, or has not begun."""
        index = keys.expected(self.shard, job.account)
        self._ops.append(Unrank(index, key) if at_ms is None else Rank(index, key, at_ms))

    def keep_ended(self, key: str, loaded: Loaded[Job] | None, *, until_ms: int) -> None:
        """Check an ended job's retention again at that time, if its record is as it was loaded; None: it cannot be read."""
        self._guards += [loaded.guard(keys.job(key))] if loaded else []
        self._ops.append(Rank(keys.ended(self.shard), key, until_ms))

    def remove_parts(
        self,
        key: str,
        loaded: Loaded[Job],
        *,
        deliveries: Sequence[Loaded[Delivery]],
        unread: Sequence[str] = (),
        events: Sequence[str],
        linked: Sequence[str] = (),
    ) -> None:
        """Delete some deliveries and events of a job, if the job and these deliveries are as they were loaded.

        `unread` are the ids of deliveries that could not be read, which go too; `linked` events of other jobs, which stay.
        """
        self.require_job(key, loaded)
        for each in deliveries:
            self._remove_delivery(each)
        for identifier in unread:
            self._ops.append(Delete(keys.delivery(identifier)))
            for index in (keys.deliveries, trouble_keys.parked, trouble_keys.failing):
                self._ops.append(Unrank(index(self.shard, loaded.record.project), identifier))
        for identifier in (*(each.record.id for each in deliveries), *unread):
            self._ops.append(Unrank(keys.job_deliveries(key), identifier))
        self._ops += [Delete(keys.event(event)) for event in events]
        self._ops += [Unrank(keys.job_events(key), event) for event in (*events, *linked)]

    def remove_job(self, key: str, loaded: Loaded[Job]) -> None:
        """Delete a job with its callbacks, if it is as it was loaded; its last parts are removed before or with it."""
        self.require_job(key, loaded)
        self._ops += [Delete(name(key)) for name in _JOB_KEYS]
        self._ops.append(Unrank(keys.ended(self.shard), key))
        for callback in callbacks_by_id(loaded.record).values():
            self._ops += unrank_callback(loaded.record.project, callback)
        self._count_bytes(loaded.record.project, -len(loaded.raw))

    def _remove_delivery(self, loaded: Loaded[Delivery]) -> None:
        name = keys.delivery(loaded.record.id)
        self._guards.append(loaded.guard(name))
        self._ops += [Delete(name), *(Unrank(each, loaded.record.id) for each in list_indexes(loaded.record))]
        if find_trouble(loaded.record):
            self._ops.append(unmark_delivery(loaded.record))

    def put_event(self, event: EventRecord) -> None:
        """Write an event, and note that the project's feed does not have it yet."""
        self._ops += [
            Put(keys.event(event.id), pack(event)),
            Rank(keys.job_events(event.job), event.id, event.at_ms),
            Rank(feed_keys.outbox(self.shard), outbox_member(event.id, event.project), event.at_ms),
        ]
        self.events.append(event.id)

    def add(self, ops: Iterable[Op]) -> None:
        """Add operations that a table makes."""
        self._ops += ops

    def add_delivery(self, delivery: Delivery, delay_ms: int, *, if_missing: bool = False) -> None:
        """Write a new delivery and schedule its first attempt; `if_missing`: write nothing if there is one."""
        self._guards += [Guard(keys.delivery(delivery.id), None)] if if_missing else []
        self._ops += [
            Put(keys.delivery(delivery.id), pack(delivery)),
            Rank(keys.job_deliveries(delivery.job), delivery.id, delivery.created_ms),
            *(Rank(index, delivery.id, delivery.created_ms) for index in list_indexes(delivery)),
            Due("dlv", delivery.lane, delivery.id, delay_ms, "absent"),
            *mark_delivery(delivery, None),
        ]

    def require_job(self, key: str, loaded: Loaded[Job]) -> None:
        """Write nothing unless a job is as it was loaded, and so still there."""
        self._guards.append(loaded.guard(keys.job(key)))

    def deliver_to(self, endpoints: Sequence[Endpoint], event: EventRecord) -> None:
        """Write a delivery of a new event to each endpoint, due now; to a disabled one it is parked."""
        if endpoints:
            written = deliver_to(endpoints, event.id, event.job, event.project, now_ms=self.now_ms)
            self._ops += [written, *mark_parked(written)]

    def require_endpoints(self, project: str, table: EndpointTable) -> None:
        """Write nothing unless the shard knows the project's endpoints as they are in this table."""
        self._guards.append(guard_epoch(self.shard, project, table))

    def put_delivery(self, delivery: Delivery, loaded: Loaded[Delivery]) -> None:
        """Write a delivery, if it is as it was loaded."""
        self._guards.append(Guard(keys.delivery(delivery.id), loaded.raw))
        self._ops.append(Put(keys.delivery(delivery.id), pack(delivery)))
        self._ops += mark_delivery(delivery, loaded.record)

    def attempt_at(self, delivery: Delivery, delay_ms: int, *, how: How) -> None:
        """Schedule a delivery's next attempt."""
        self._ops.append(Due("dlv", delivery.lane, delivery.id, delay_ms, how))

    def drop_attempt(self, delivery: Delivery) -> None:
        """Take a delivery out of its lane."""
        self._ops.append(Drop("dlv", delivery.lane, delivery.id))

    def index_callback(self, job: Job, callback: Callback) -> None:
        """List a callback under its project and its URL."""
        self._ops += rank_callback(job.project, callback)

    def unindex_url(self, job: Job, callback: Callback) -> None:
        """Remove a callback from the list of its URL."""
        self._ops.append(Unrank(keys.urls(self.shard, job.project), url_member(callback)))

    def unindex_callback(self, job: Job, callback: Callback) -> None:
        """Remove a callback from the lists of its project and its URL."""
        self._ops += unrank_callback(job.project, callback)

    def hold(self, callback: Callback, hold_ms: int) -> None:
        """Make a callback's first deliveries wait until its registration was answered, `hold_ms` at most."""
        self._ops.append(Put(keys.hold(callback.id), b"1", px=hold_ms))

    def put_start(self, place: str, start: Start, loaded: Loaded[Start] | None) -> None:
        """Write a guarded start until it expires, if it is as it was loaded (None: if it does not exist)."""
        key = start_keys.start(place)
        self._guards.append(Guard(key, loaded.raw if loaded else None))
        self._ops += [
            Put(key, pack(start), px=max(1, expires_ms(start) - self.now_ms)),
            Rank(start_keys.starts(self.shard, start.project), place, expires_ms(start)),
        ]

    def look_at(self, place: str, at_ms: int | None) -> None:
        """Look at a start at that time; None: nothing is left to be found out or done."""
        key = start_keys.open_starts(self.shard)
        self._ops.append(Unrank(key, place) if at_ms is None else Rank(key, place, at_ms))

    def mark_started(self, key: str, place: str, *, alone: bool) -> None:
        """Note which start began a job, now; `alone`: write nothing at all if another start did."""
        mark = start_keys.started(key)
        if alone:
            self._guards.append(Guard(mark, None))
        self._ops.append(Put(mark, f"{place} {self.now_ms}".encode(), px=OPEN_MS))

    def drop_start(self, place: str, loaded: Loaded[Start]) -> None:
        """Remove a guarded start and its place in the lists, if it is as it was loaded."""
        key = start_keys.start(place)
        self._guards.append(loaded.guard(key))
        self._ops += [
            Delete(key),
            Unrank(start_keys.starts(self.shard, loaded.record.project), place),
            Unrank(start_keys.open_starts(self.shard), place),
        ]


async def retrying(
    committer: Committer,
    stage: Callable[[], Awaitable[tuple[UnitOfWork | None, T]]],
    *,
    conflict: Exception | None = None,
    tries: int = MAX_TRIES,
    new_work: bool = False,
    durable: bool = False,
    roll: Callable[[], float] = random.random,
) -> T:
    """Commit the change that `stage` builds, and return the value that came with it.

    Locking is optimistic: records are read without a lock, and the commit is refused when one of them has changed
    since. `stage` is then called again, so it must load what it decides on and build the unit anew each time. It may
    return None for the unit when there is nothing to write.

    Raise `conflict` (`WriteConflict` by default) when other writers were first in all `tries`, `LeaseLost` when the
    change required a lease that has ended. `new_work` and `durable` are those of `Committer.commit`. `roll` returns
    random numbers between 0 and 1.
    """
    for conflicts in range(tries):
        if conflicts >= QUICK_TRIES:
            await asyncio.sleep(_pause_s(conflicts, roll()))
        unit, value = await stage()
        if unit is None:
            return value
        result = await committer.commit(unit.change(), new_work=new_work, durable=durable)
        if result == "done":
            return value
        if result == "fenced":
            raise LeaseLost
    raise conflict or WriteConflict


def _pause_s(conflicts: int, roll: float) -> float:
    """Return how long to wait after so many conflicts: random, so that not the same writers meet again."""
    return roll * min(MAX_PAUSE_S, FIRST_PAUSE_S * (1 << min(10, conflicts - QUICK_TRIES)))
