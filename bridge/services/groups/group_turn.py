"""Take a group's turn in its account's lane: it reads the records of its members, and nothing of the provider."""

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.events.records import EventRecord
from bridge.domain.groups.turn import LateEnding, advance_group, list_late, may_change, read_members
from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext, Transition
from bridge.domain.jobs.records import Job, JobState
from bridge.services.context import Services
from bridge.services.groups.closing import close_group
from bridge.services.jobs.endpoint_fanout import choose_table
from bridge.services.jobs.observe import MAX_TRIES, Held, publish, stage_save
from bridge.services.queries import load_events, load_jobs
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.queue.lanes import Settled
from bridge.store.queue.settling import settle_poll
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork, retrying


class GroupTask(Struct, frozen=True, kw_only=True, gc=False):
    """A leased group, and the account in whose lane it is."""

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
        moved, linked = await _advance(services, current, at)
        if moved.job == job.record and moved.delay_ms is not None and held.log.polls:
            settled = settle_poll(held.key, task.account, held.token, log=moved.log, delay_ms=moved.delay_ms)
            return None, (settled, None)
        table = await choose_table(services, job.record.project, held.key[0], again=again)
        unit = await stage_save(services, current, moved, at, table)
        for event in linked:
            unit.link_event(held.key, event)
        return unit, (None, _Saved(moved, unit.events))

    try:
        settled, saved = await retrying(services.store.committer, stage, tries=MAX_TRIES)
    except (WriteConflict, LeaseLost):
        return ()
    if saved is not None:
        await publish(services, held.key, saved.moved, saved.events)
    return (settled,) if settled else ()


async def _advance(
    services: Services, held: Held, at: PollContext
) -> tuple[Transition, Sequence[EventRecord]]:
    """Return a group's transition, and the members' late events that it passes on."""
    job = held.job.record
    members = read_members(job, await _load_members(services, held.key[0], job))
    late = list_late(job.members, members) if job.state is JobState.ENDED else []
    closes = job.state is not JobState.ENDED and all(each.ending for each in members)
    wanted = members if closes else late
    events = {each.id: each for each in await load_events(services.store, [e.event for e in wanted])}
    moved = advance_group(
        job,
        held.log,
        members=members,
        fact=close_group(job, members, events) if closes else None,
        late=[LateEnding(event=each.id, type=each.type) for each in events.values() if not closes],
        key=held.key,
        at=_date(at, events),
        scale=services.time_scale,
    )
    return moved, [] if closes else list(events.values())


async def _load_members(services: Services, shard: str, job: Job) -> Mapping[tuple[str, str], Job]:
    """Load the records of those members that may have changed: the open ones, and those that timed out."""
    wanted = {
        job_key(shard, job.account, each.kind, each.id): (each.kind, each.id)
        for each in job.members
        if may_change(each)
    }
    loaded = await load_jobs(services.store, list(wanted)) if wanted else {}
    return {place: loaded[key].record for key, place in wanted.items() if key in loaded}


def _date(at: PollContext, events: Mapping[str, EventRecord]) -> PollContext:
    """Return the circumstances of a turn: what it shows is as old as the newest of the events that led to it."""
    if not events:
        return at
    newest = max(events.values(), key=lambda each: each.at_ms)
    lag_ms = json.loads(newest.body)["bridge"]["detection_lag_max_ms"] or 0
    return replace(at, lag_max_ms=max(0, at.now_ms - newest.at_ms) + lag_ms)
