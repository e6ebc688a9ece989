"""Take a turn of a group or a chain in its account's lane: it reads records of jobs, and nothing of the provider."""

from collections.abc import Sequence

import structlog
from msgspec import Struct

from bridge.domain.groups.turn import PassedOn, advance_group, list_late, may_change, read_members
from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.watches import CHAIN
from bridge.errors import BridgeError
from bridge.services.context import Services
from bridge.services.groups.chain_turn import plan_chain_turn, stage_chain
from bridge.services.groups.closing import close_group
from bridge.services.groups.rows import date_turn, load_by_id, load_members
from bridge.services.jobs.endpoint_fanout import choose_table
from bridge.services.jobs.observe import MAX_TRIES, Held, finish, stage_save
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.queue.lanes import Settled
from bridge.store.queue.settling import settle_poll
from bridge.store.records import Loaded
from bridge.store.tables.indexes import list_event
from bridge.store.unit_of_work import UnitOfWork, retrying

log = structlog.get_logger()


class GroupTask(Struct, frozen=True, kw_only=True, gc=False):
    """A leased group or chain, and the account in whose lane it is."""

    held: Held
    account: str

    @property
    def shard(self) -> str:
        """The shard of its account."""
        return self.held.key[0]

    @property
    def jobs(self) -> tuple[Held, ...]:
        """The group itself."""
        return (self.held,)


class _Saved(Struct, frozen=True):
    moved: Transition
    events: Sequence[str]


async def take_group_turn(services: Services, task: GroupTask) -> Sequence[Settled]:
    """Look at a group's members; write what has changed, or return what to settle."""
    held = task.held
    known: Loaded[Job] | None = held.job
    at = PollContext(begun_ms=services.clock_ms(), now_ms=services.clock_ms())

    async def stage() -> tuple[UnitOfWork | None, tuple[Settled | None, _Saved | None]]:
        nonlocal known
        again = known is None
        job, known = known or await services.store.load_job(held.key), None
        if job is None:
            return None, (Settled(task.account, held.key, held.token, None), None)
        current = Held(key=held.key, token=held.token, job=job, log=held.log)
        unit, moved = await _stage(services, current, at, again=again)
        if unit is None:
            delay_ms = moved.delay_ms
            settled = settle_poll(held.key, task.account, held.token, log=moved.log, delay_ms=delay_ms)
            return None, (settled, None)
        return unit, (None, _Saved(moved, unit.events))

    try:
        settled, saved = await retrying(services.store.committer, stage, tries=MAX_TRIES)
    except (WriteConflict, LeaseLost):
        return ()
    if saved is not None:
        await finish(services, held.key, saved.moved, saved.events, at)
    return (settled,) if settled else ()


async def _stage(
    services: Services, held: Held, at: PollContext, *, again: bool
) -> tuple[UnitOfWork | None, Transition]:
    """Return a turn's transition, and what it writes: None where only the log has changed."""
    if held.job.record.kind != CHAIN:
        return await _stage_group(services, held, at, again=again)
    try:
        return await _stage_chain(services, held, at, again=again, grows=True)
    except BridgeError as refused:  # the project has as many jobs as it may have
        log.warning("chain.not_grown", job=held.key, error=refused.code)
        return await _stage_chain(services, held, at, again=again, grows=False)


async def _stage_group(
    services: Services, held: Held, at: PollContext, *, again: bool
) -> tuple[UnitOfWork | None, Transition]:
    job = held.job.record
    changing = [each for each in job.members if may_change(each)]
    members = read_members(job, await load_members(services, held.key[0], job.account, changing))
    late = list_late(job.members, members) if job.state is JobState.ENDED else []
    closes = job.state is not JobState.ENDED and all(each.ending for each in members)
    events = await load_by_id(services, (each.event for each in (members if closes else late)))
    at = date_turn(at, events.values())
    moved = advance_group(
        job,
        held.log,
        members=members,
        fact=close_group(job, members, events) if closes else None,
        passed=[PassedOn(event=e.id, type=e.type, late=True) for e in events.values() if not closes],
        key=held.key,
        at=at,
        scale=services.time_scale,
    )
    unit = await _save(services, held, moved, at, again=again)
    if unit is not None and not closes:
        unit.add(list_event(held.key, each) for each in events.values())
    return unit, moved


async def _stage_chain(
    services: Services, held: Held, at: PollContext, *, again: bool, grows: bool
) -> tuple[UnitOfWork | None, Transition]:
    step = await plan_chain_turn(services, held, at, grows=grows)
    unit = await _save(services, held, step.moved, step.at, again=again)
    if unit is not None:
        await stage_chain(services, unit, held, step)
    return unit, step.moved


async def _save(
    services: Services, held: Held, moved: Transition, at: PollContext, *, again: bool
) -> UnitOfWork | None:
    """Return the change that a transition makes, None where it changes the log alone."""
    if moved.job == held.job.record and moved.delay_ms is not None and held.log.polls:
        return None
    table = await choose_table(services, moved.job.project, held.key[0], again=again)
    return await stage_save(services, held, moved, at, table)
