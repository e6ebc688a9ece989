"""Apply the result of a poll to a job: load its records, decide in the domain, save the changes in one step."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.jobs.poll_history import record_observed
from bridge.domain.jobs.portions import take_portion
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.jobs.transition import advance, quiet_until_ms, replace_item
from bridge.domain.observation import Observed, PollResult
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.http.yielding import let_others_run
from bridge.services.context import Services, kind_traits
from bridge.services.jobs.endpoint_fanout import (
    choose_table,
    plan_portion,
)
from bridge.services.jobs.event_counts import count_events, log_events
from bridge.services.jobs.last_seen import recall
from bridge.services.jobs.new_events import write_advance
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.services.queries import NO_LOG, load_jobs, load_log
from bridge.store.commit import Lease
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.queue.lanes import Settled
from bridge.store.queue.settling import settle_poll
from bridge.store.records import Loaded, RecordBatch, pack_object
from bridge.store.unit_of_work import UnitOfWork, retrying

MAX_TRIES = 8  # then the lease ends, and the job is polled again
LARGE_OBJECT = 16 * 1024  # bytes as stored
MAX_OLDER = 20  # a job's last events, which are looked at before new ones are published
_Saved = tuple[Transition, list[str]]  # what was committed, and the ids of its events


class Held(Struct, frozen=True, kw_only=True, gc=False):
    """A job that this worker has leased: its records as loaded, and the lease's token."""

    key: str
    token: bytes
    job: Loaded[Job]
    log: PollLog


def take_held(page: RecordBatch, key: str, token: bytes) -> Held | None:
    """Return a leased job with its records, None if it has no record."""
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
    """Apply the result of one poll to a leased job: write at once what has changed, or return what to settle.

    Return None when nothing is left to settle: the change is written, or another worker has the job by now. An answer
    that changed nothing is kept in `unchanged_answers`. The next poll, if there is one, comes after `least_ms` at the
    earliest.
    """
    known: Loaded[Job] | None = held.job  # for the first try; later ones load what others wrote meanwhile

    async def stage() -> tuple[UnitOfWork | None, tuple[Settled | None, _Saved | None]]:
        nonlocal known
        again = known is None
        job, known = known or await services.store.load_job(held.key), None
        if job is None:
            return None, (None, None)
        current = held if job is held.job else Held(key=held.key, token=held.token, job=job, log=held.log)
        moved = _advance(services, current, result, at, least_ms=least_ms)
        if not _has_changes(current, moved):
            if unchanged_answers is not None and isinstance(result, Observed):
                _keep(services, unchanged_answers, current, result, log=moved.log, at=at)
            return None, (_settle(current, moved.log, moved.delay_ms), None)
        if (progress := _progress_object(current, moved)) is not None:
            return None, (_settle(current, moved.log, moved.delay_ms, progress), None)
        await let_others_run()
        table = await choose_table(services, job.record.project, held.key[0], again=again)
        moved = _take_portion(services, current, result, at, table=table, moved=moved)
        unit = await stage_save(services, current, moved, at, table)
        return unit, (None, (moved, unit.events))

    try:
        settled, saved = await retrying(services.store.committer, stage, tries=MAX_TRIES)
    except (WriteConflict, LeaseLost):
        return None
    if saved is not None:
        await finish(services, held.key, *saved, at)
    return settled


async def finish(
    services: Services, key: str, moved: Transition, events: Sequence[str], at: PollContext
) -> None:
    """Log, count and publish the events of a transition that was written."""
    log_events(key, moved)
    count_events(services, moved, at)
    await _publish(services, key, moved, events)


def observe_unchanged(
    services: Services, held: Held, unchanged: Observed, at: PollContext, *, least_ms: int = 0
) -> Settled:
    """Record a poll whose answer is known to change nothing; return what to settle, as `observe` does."""
    seen = unchanged.observation
    delay_ms = max(services.time_scale.ms(seen.timing.interval_s), least_ms)
    return _settle(held, record_observed(held.log, seen, at, due_ms=at.now_ms + delay_ms), delay_ms)


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


def _advance(
    services: Services, held: Held, result: PollResult, at: PollContext, *, least_ms: int
) -> Transition:
    job = held.job.record
    traits = kind_traits(job.kind)
    moved = advance(job, held.log, result, key=held.key, at=at, traits=traits, scale=services.time_scale)
    if moved.delay_ms is None or moved.delay_ms >= least_ms:
        return moved
    log = replace(moved.log, due_ms=at.now_ms + least_ms)
    return replace(moved, delay_ms=least_ms, log=log)


def _take_portion(
    services: Services,
    held: Held,
    result: PollResult,
    at: PollContext,
    *,
    table: EndpointTable,
    moved: Transition,
) -> Transition:
    """Return a transition by as many facts as one commit may deliver; the job is then due again at once for the others.

    It is decided as if the read had begun long ago: what it holds back must not look like a time-out.
    """
    most = plan_portion(table, moved)
    if most is None or not isinstance(result, Observed):
        return moved
    portion = take_portion(held.job.record, result.observation, most=most)
    if portion is result.observation:
        return moved
    early = replace(at, begun_ms=0)
    some = _advance(services, held, Observed(observation=portion), early, least_ms=0)
    return replace(some, delay_ms=0, log=replace(some.log, due_ms=at.now_ms))


def _has_changes(held: Held, moved: Transition) -> bool:
    """Return whether a poll changed more than its own log."""
    changed_object = moved.data is not None and moved.log.digest != held.log.digest
    first = held.log.polls == 0  # settling overwrites records but makes none
    return first or changed_object or moved.delay_ms is None or moved.job != held.job.record


def _progress_object(held: Held, moved: Transition) -> bytes | None:
    """Return the packed object if it alone has changed (progress, most often), so that it can be settled in a batch.

    Settling overwrites records but makes none, and sends many together, so the first object and large ones are
    committed on their own instead: then this returns None.
    """
    if not held.log.digest or moved.data is None or moved.delay_ms is None:
        return None
    if moved.job != held.job.record or moved.new_events or moved.replaced:
        return None
    stored = pack_object(moved.data)
    return stored if len(stored) <= LARGE_OBJECT else None


def _settle(held: Held, log: PollLog, delay_ms: int | None, stored: bytes | None = None) -> Settled:
    account = held.job.record.account
    return settle_poll(held.key, account, held.token, log=log, delay_ms=delay_ms, packed_object=stored)


async def stage_save(
    services: Services, held: Held, moved: Transition, at: PollContext, table: EndpointTable
) -> UnitOfWork:
    """Return the change that a transition of a leased job makes, with its events and the job's next turn."""
    job = held.job.record
    unit = UnitOfWork(held.key[0], now_ms=at.now_ms, retention_s=services.settings.retention)
    moved = await recall(services, held.key, moved)
    write_advance(services, unit, held.key, held.job, moved=moved, at=at, table=table)
    if moved.delay_ms is None:
        unit.retire(held.key, moved.job)
    else:
        unit.poll_at(held.key, moved.job, moved.delay_ms, how="set")
    await _replace_items(services, unit, job, moved.replaced, at, table=table)
    if unit.events:
        unit.require_endpoints(job.project, table)
    unit.require_lease(Lease("poll", job.account, held.key, held.token))
    return unit


async def _replace_items(
    services: Services,
    unit: UnitOfWork,
    post: Job,
    items: Sequence[str],
    at: PollContext,
    *,
    table: EndpointTable,
) -> None:
    """End the watch of items which a new run of their post has replaced, in the same step."""
    part = kind_traits(post.kind).replaceable_parts if items else None
    if part is None:
        return
    for item in items:
        key = job_key(unit.shard, post.account, part.kind, item)
        loaded = (await load_jobs(services.store, (key,))).get(key)
        if loaded is None:
            continue
        log = await load_log(services.store, key)
        moved = replace_item(
            loaded.record,
            log,
            key=key,
            at=at,
            related={part.parent_field: post.id},
            scale=services.time_scale,
        )
        if moved is None:
            continue
        moved = await recall(services, key, moved)
        write_advance(services, unit, key, loaded, moved=moved, at=at, table=table)
        if moved.delay_ms is None:
            unit.retire(key, moved.job)


async def _publish(services: Services, key: str, moved: Transition, events: Sequence[str]) -> None:
    """Add new events to the project's feed; if the process dies before, the sweep does it later.

    Older events of the job come first, if such a death has kept them from the feed until now.
    """
    if not events:
        return
    older: list[str] = []
    if moved.new_events and moved.new_events[0].sequence > 1:
        older = await services.store.indexes.latest_job_events(key, MAX_OLDER)
    first = [event for event in older if event not in events]
    await services.store.feed.publish(moved.job.project, [*first, *events])
