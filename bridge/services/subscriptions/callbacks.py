"""Callbacks after their registration: read, change, cancel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.domain.deliveries.records import OPEN, Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import delivery_id, read_callback_job
from bridge.domain.jobs.callbacks import cancel_callback, find_callback, replace_callback
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.next_poll import is_done
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.polling.rate_limit import BudgetView
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.errors import Conflict, NotFound
from bridge.services.accounts.budget_view import next_turn_ms, view_budget
from bridge.services.context import Services
from bridge.services.queries import (
    load_callback_deliveries,
    load_deliveries,
    load_dues,
    load_events,
    load_log,
)
from bridge.services.quota import check_bytes, held_bytes
from bridge.services.requeue import cancel_delivery, move_delivery
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.services.subscriptions.lookup import list_job_callbacks
from bridge.services.subscriptions.members import stage_member_timeouts, stage_stop_members
from bridge.services.subscriptions.patch import (
    CallbackPatch,
    apply_patch,
    check_callback_sizes,
    check_changeable,
    check_identity,
)
from bridge.store.records import Loaded
from bridge.store.tables.account_health import AccountHealth
from bridge.store.unit_of_work import UnitOfWork, retrying

MAX_HISTORY: Final = 100  # events of a job that one history shows, the newest ones


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCallback:
    """A callback with what its view needs; `due_ms` is negative while the job is being read."""

    job: Job
    callback: Callback
    log: PollLog
    due_ms: int | None
    health: AccountHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackHistory:
    """A callback with the events of its job and its own deliveries, oldest first.

    With it its account's budget, and how many jobs share that.
    """

    found: FoundCallback
    events: Sequence[EventRecord]
    deliveries: Sequence[Delivery]
    budget: BudgetView | None
    watched: int


def _no_callback(callback_id: str) -> NotFound:
    return NotFound(f"there is no callback {callback_id[:80]} in this project")


async def load(services: Services, project: str, callback_id: str) -> tuple[str, Loaded[Job], Callback]:
    """Load a callback with its job's key and record; NotFound when this project has none such."""
    key = read_callback_job(callback_id)
    loaded = await services.store.load_job(key) if key and key[0] in services.store.shards else None
    if key and loaded and loaded.record.project == project:
        callback = find_callback(loaded.record, callback_id)
        if callback is not None:
            return key, loaded, callback
    raise _no_callback(callback_id)


async def get(services: Services, project: str, callback_id: str) -> FoundCallback:
    """Return one callback; NotFound when this project has none such."""
    key, loaded, callback = await load(services, project, callback_id)
    return await _find(services, key, loaded.record, callback)


async def _find(services: Services, key: str, job: Job, callback: Callback) -> FoundCallback:
    return FoundCallback(
        job=job,
        callback=callback,
        log=await load_log(services.store, key),
        due_ms=await next_turn_ms(services, job.account, key),
        health=await services.store.health.load(job.account),
    )


async def history(services: Services, project: str, callback_id: str) -> CallbackHistory:
    """Return a callback with its job's newest events and its own deliveries of them."""
    key, loaded, callback = await load(services, project, callback_id)
    ids = (await services.store.indexes.job_events(key))[-MAX_HISTORY:]
    events = await load_events(services.store, ids)
    sent = await load_deliveries(services.store, [delivery_id(event, callback_id) for event in ids])
    account = await services.store.accounts.get(loaded.record.account)
    return CallbackHistory(
        found=await _find(services, key, loaded.record, callback),
        events=events,
        deliveries=[each.record for each in sent],
        budget=await view_budget(services, account) if account else None,
        watched=await services.store.poll.size(key[0], loaded.record.account),
    )


def view_state(found: FoundCallback) -> CallbackState:
    """Return a callback's state as clients see it: `paused` while its account's key is refused."""
    health = found.health
    refused = health.outage_ms or found.job.kind in health.forbidden
    return CallbackState.PAUSED if is_live(found.callback) and refused else found.callback.state


async def patch(services: Services, project: str, callback_id: str, change: CallbackPatch) -> FoundCallback:
    """Change a callback; its waiting and parked deliveries go again, to the new URL."""

    async def stage() -> tuple[UnitOfWork, tuple[str, Job, Callback]]:
        key, loaded, callback = await load(services, project, callback_id)
        check_changeable(callback)
        changed = apply_patch(services, loaded.record, callback, change)
        check_identity(loaded.record, changed)
        job = replace_callback(loaded.record, changed)
        unit = services.unit_of_work(key[0])
        check_callback_sizes(loaded.record, job, now_ms=unit.now_ms)
        unit.put_job(key, job, loaded)
        if changed.fingerprint != callback.fingerprint:
            unit.unindex_url(job, callback)
            unit.index_callback(job, changed)
        if changed.timeout_s != callback.timeout_s and is_live(changed):
            await stage_member_timeouts(services, unit, job, changed)
        lane = lane_of(services.store.vault, project, changed)
        for delivery, due_ms in await _load_queued(services, key, callback_id):
            move_delivery(unit, delivery, due_ms, lane)
        if unit.grown > 0:
            check_bytes(services, await held_bytes(services, project), unit.grown)
        return unit, (key, job, changed)

    return await _find(services, *await retrying(services.store.committer, stage, conflict=_conflict()))


async def cancel(services: Services, project: str, callback_id: str) -> bool:
    """Cancel a callback and its waiting deliveries; False when there is nothing to cancel."""

    async def stage() -> tuple[UnitOfWork | None, bool]:
        try:
            key, loaded, callback = await load(services, project, callback_id)
        except NotFound:
            return None, False
        if callback.state is CallbackState.CANCELLED:
            return None, False
        unit = services.unit_of_work(key[0])
        await stage_cancel(services, unit, key, loaded, callback, reason="the callback was deleted")
        return unit, True

    return await retrying(services.store.committer, stage, conflict=_conflict())


async def _load_queued(
    services: Services, key: str, callback_id: str
) -> list[tuple[Loaded[Delivery], int | None]]:
    """Load a callback's deliveries, oldest first, each with its due time as `load_dues` returns it."""
    deliveries = await load_callback_deliveries(services.store, key, callback_id)
    dues = await load_dues(services.store, [each.record for each in deliveries])
    return [(each, dues[each.record.id]) for each in deliveries]


def _conflict() -> Conflict:
    return Conflict("this callback is being changed by others: repeat the request")


async def stage_cancel(
    services: Services,
    unit: UnitOfWork,
    key: str,
    loaded: Loaded[Job],
    callback: Callback,
    *,
    reason: str,
    but: str | None = None,
) -> None:
    """Write a callback's cancelling into a draft; a job that nobody waits for any more leaves the queue.

    `but` is the id of a delivery that is in the draft already.
    """
    job = cancel_callback(loaded.record, callback, now_ms=unit.now_ms)
    unit.put_job(key, job, loaded)
    for delivery, due_ms in await _load_queued(services, key, callback.id):
        if delivery.record.state in OPEN and delivery.record.id != but:
            cancel_delivery(unit, delivery, due_ms, reason)
    await stage_stop_members(services, unit, job)
    if is_done(job, now_ms=unit.now_ms):
        unit.retire(key, job)


async def cancel_matching(
    services: Services, project: str, *, job_id: str | None = None, url: str | None = None
) -> int:
    """Cancel all callbacks of a job or a URL; give how many there were."""
    if url is None:
        ids = [] if job_id is None else await list_job_callbacks(services.store, project, None, job_id)
        return sum([await cancel(services, project, identifier) for identifier in ids])
    count = 0
    fingerprint = services.store.vault.fingerprint(url)
    async for step in services.store.indexes.all_callbacks_by_url(project, fingerprint):
        count += sum([await cancel(services, project, identifier) for identifier in step])
    return count
