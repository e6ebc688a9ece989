"""One door for each change that an upstream's answer makes: load, decide in the domain, save in one step."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.events.event import build_event
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import delivery_id, job_key
from bridge.domain.jobs.intervals import interval_ms
from bridge.domain.jobs.outcome import NewEvent, Notification, PollContext, Transition
from bridge.domain.jobs.poll_history import previous_poll_ms, record_poll
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.jobs.transition import advance, quiet_until_ms, replace_item
from bridge.domain.observation import Observed, PollResult
from bridge.services.context import Services, kind_traits
from bridge.services.deliveries.destinations import lane_of, load_proven
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.services.queries import NO_LOG, load_log
from bridge.store import keys
from bridge.store.commit import Lease
from bridge.store.queue.lanes import Settled
from bridge.store.records import Loaded, RecordBatch, pack, pack_object
from bridge.store.unit_of_work import UnitOfWork

TRIES = 8  # a record that others write all the time is read again this often before the lease brings it back
ITEM = "generated_media_item"
LARGE_OBJECT = 16 * 1024  # bytes as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A job that this worker holds: its records as loaded, and the lease that proves it."""

    key: str
    token: bytes
    job: Loaded[Job]
    log: PollLog


def take_held(page: RecordBatch, key: str, token: bytes) -> Held | None:
    """Put a leased job's records together; None for a job that has none."""
    job, log = page.jobs.get(key), page.logs.get(key)
    return Held(key=key, token=token, job=job, log=log.record if log else NO_LOG) if job else None


async def observe(
    services: Services,
    held: Held,
    result: PollResult,
    at: PollContext,
    *,
    unchanged_answers: UnchangedAnswers | None = None,
    least_ms: int = 0,
) -> Settled | None:
    """Take one reading of a held job to its end: news is written at once, else the queue's entry is settled.

    Gives what the pump shall settle, None when a commit has settled it or somebody else holds the job by now.
    What changed nothing is kept in `echoes`. The job waits for at least `least_ms`, if it is read again at all.
    """
    for _ in range(TRIES):
        moved = _advance(services, held, result, at)
        if moved.delay_ms is not None and moved.delay_ms < least_ms:
            log = replace(moved.log, due_ms=at.now_ms + least_ms)
            moved = dataclasses.replace(moved, delay_ms=least_ms, log=log)
        if not _is_news(held, moved):
            if unchanged_answers is not None and isinstance(result, Observed):
                _keep(services, unchanged_answers, held, result, log=moved.log, at=at)
            return _settle(held, moved.log, moved.delay_ms)
        if (shown := _new_object(held, moved)) is not None:
            return _settle(held, moved.log, moved.delay_ms, shown)
        match await _save(services, held, moved, at):
            case "done":
                await _publish(services, moved.job, moved.new_events)
                return None
            case "fenced":
                return None
            case _:
                job = await services.store.load_job(held.key)
        if job is None:
            return None
        held = Held(key=held.key, token=held.token, job=job, log=held.log)
    return None


def observe_unchanged(services: Services, held: Held, unchanged: Observed, at: PollContext) -> Settled:
    """Take an answer that says again what changed nothing: the read is noted, and the job waits for the next one."""
    log = record_poll(held.log, unchanged, at)
    delay_ms = interval_ms(log, services.time_scale, fallback_s=unchanged.observation.timing.interval_s)
    log = replace(log, due_ms=at.now_ms + delay_ms)
    return _settle(held, log, delay_ms)


def _keep(
    services: Services,
    unchanged_answers: UnchangedAnswers,
    held: Held,
    seen: Observed,
    *,
    log: PollLog,
    at: PollContext,
) -> None:
    job = held.job.record
    until_ms = quiet_until_ms(job, log, traits=kind_traits(job.kind), scale=services.time_scale)
    if until_ms > at.now_ms:
        unchanged_answers.keep(held.key, held.job, seen, digest=at.digest, until_ms=until_ms)


def _advance(services: Services, held: Held, result: PollResult, at: PollContext) -> Transition:
    job = held.job.record
    traits = kind_traits(job.kind)
    return advance(job, held.log, result, key=held.key, at=at, traits=traits, scale=services.time_scale)


def _is_news(held: Held, moved: Transition) -> bool:
    changed_object = moved.data is not None and moved.log.digest != held.log.digest
    first = held.log.polls == 0  # a settle writes only over a record that is there
    return first or changed_object or moved.delay_ms is None or moved.job != held.job.record


def _new_object(held: Held, moved: Transition) -> bytes | None:
    """Give the object of a read that shows no more than that: progress, most often. It is settled with the others.

    A settle writes only over an object that is there, and many go together, so that a large one goes alone.
    """
    if not held.log.digest or moved.data is None or moved.delay_ms is None:
        return None
    if moved.job != held.job.record or moved.new_events or moved.replaced:
        return None
    shown = pack_object(moved.data)
    return shown if len(shown) <= LARGE_OBJECT else None


def _settle(held: Held, log: PollLog, delay_ms: int | None, shown: bytes | None = None) -> Settled:
    records = ((keys.poll_log(held.key), pack(log)),)
    return Settled(
        lane=held.job.record.account,
        member=held.key,
        token=held.token,
        delay_ms=delay_ms,
        records=records if shown is None else (*records, (keys.observed(held.key), shown)),
    )


async def _save(services: Services, held: Held, moved: Transition, at: PollContext) -> str:
    job = held.job.record
    unit = UnitOfWork(held.key[0], now_ms=at.now_ms, retention_s=services.settings.retention)
    await write_advance(services, unit, held.key, held.job, moved=moved, at=at)
    if moved.delay_ms is None:
        unit.retire(held.key, moved.job)
    else:
        unit.poll_at(held.key, moved.job, moved.delay_ms, how="set")
    await _replace_items(services, unit, job, moved.replaced, at)
    lease = Lease("poll", job.account, held.key, held.token)
    return await services.store.committer.commit(unit.change(lease))


async def write_advance(
    services: Services, unit: UnitOfWork, key: str, loaded: Loaded[Job], *, moved: Transition, at: PollContext
) -> None:
    """Put a job that moved on into a draft: its records, new events, and a delivery for each letter."""
    unit.put_job(key, moved.job, loaded)
    unit.put_log(key, moved.log)
    if moved.data is not None:
        unit.put_object(key, moved.data)
    for new_events in moved.new_events:
        unit.put_event(_event(loaded.record, key, moved, new_events, at))
    proven = await load_proven(services.store, key[0], moved.job, moved.notifications)
    for notification in moved.notifications:
        delivery = _delivery(moved.job, key, notification, proven, at.now_ms)
        unit.add_delivery(delivery, 0)


def _event(before: Job, key: str, moved: Transition, new_events: NewEvent, at: PollContext) -> EventRecord:
    previous = previous_poll_ms(moved.log) or before.born_ms
    body = build_event(
        new_events.drafts.fact,
        event_id=new_events.event,
        at_ms=at.now_ms,
        sequence=new_events.sequence,
        observed_ms=at.now_ms,
        polls=moved.log.polls,
        lag_max_ms=max(0, at.now_ms - previous),
        source=at.source,
    )
    return EventRecord(
        id=new_events.event,
        type=new_events.drafts.type,
        project=before.project,
        job=key,
        at_ms=at.now_ms,
        body=body,
    )


def _delivery(job: Job, key: str, notification: Notification, proven: set[str], now_ms: int) -> Delivery:
    callback = next(each for each in job.callbacks if each.id == notification.callback)
    return Delivery(
        id=delivery_id(notification.event, callback.id),
        event=notification.event,
        job=key,
        callback=callback.id,
        project=job.project,
        lane=lane_of(job.project, callback.origin, proven=callback.origin in proven),
        state=DeliveryState.PENDING,
        created_ms=now_ms,
    )


async def _replace_items(
    services: Services, unit: UnitOfWork, post: Job, items: Sequence[str], at: PollContext
) -> None:
    """End the watch of items that a new run of their post did away with, in the same step."""
    for item in items:
        key = job_key(unit.shard, post.account, ITEM, item)
        loaded = await services.store.load_job(key)
        if loaded is None or not loaded.record.callbacks:
            continue
        log = await load_log(services.store, key)
        moved = replace_item(
            loaded.record,
            log,
            key=key,
            at=at,
            related={"generated_post_id": post.id},
            scale=services.time_scale,
        )
        if moved is None:
            continue
        await write_advance(services, unit, key, loaded, moved=moved, at=at)
        if moved.delay_ms is None:
            unit.retire(key, moved.job)


async def _publish(services: Services, job: Job, new_events: Sequence[NewEvent]) -> None:
    """Give new events their place in the project's feed; the sweep does it for a process that died here."""
    if new_events:
        await services.store.feed.publish(job.project, [each.event for each in new_events])
