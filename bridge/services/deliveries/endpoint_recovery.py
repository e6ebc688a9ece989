"""Bring an endpoint's events to it: those that it never got, those that are parked, and all that is open after a change.

`recover_chunk` is one step of a walk along the project's feed. Each event is looked at by itself: where the endpoint has no
delivery of it one is made, where that is parked it starts again, and any other is left as it is. Each of these is a
compare-and-set, so the steps may be repeated, and two walks at once do nothing twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.records import OPEN, Delivery, DeliveryState, ended_before, new_delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import delivery_id
from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.endpoint import Endpoint, wants
from bridge.domain.tasks import TaskStep
from bridge.errors import Conflict
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.jobs.endpoint_fanout import persona_of
from bridge.services.queries import MAX_SCANNED, load_deliveries, load_dues
from bridge.services.requeue import start_again
from bridge.services.subscriptions.endpoints import find
from bridge.store.records import Loaded, Wanted
from bridge.store.tables.indexes import Cursor
from bridge.store.unit_of_work import UnitOfWork

CHUNK: Final = 100  # events looked at together
TRIES: Final = 20  # of what others change meanwhile
PER_SECOND: Final = 50.0  # without a rate limit of the endpoint's own


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverWalk:
    """What a walk recovers: events made from `since_ms` to `until_ms`, up to the feed's position at its start."""

    project: str
    endpoint: str
    since_ms: int
    until_ms: int | None
    last: int


async def begin_recovery(
    services: Services, project: str, endpoint: str, *, since_ms: int, until_ms: int | None
) -> RecoverWalk:
    """Return a walk as `begin_walk` does; who asks for it says that the receiver is well again."""
    found = await load_enabled(services, project, endpoint)
    await services.store.dlv.close_breaker(found.lane)
    return await begin_walk(services, project, endpoint, since_ms=since_ms, until_ms=until_ms)


async def begin_walk(
    services: Services, project: str, endpoint: str, *, since_ms: int, until_ms: int | None
) -> RecoverWalk:
    """Return a walk over what the feed has now; NotFound without such an endpoint, Conflict for a disabled one."""
    await load_enabled(services, project, endpoint)
    last = await services.store.feed.last(project)
    return RecoverWalk(project=project, endpoint=endpoint, since_ms=since_ms, until_ms=until_ms, last=last)


async def recover_chunk(
    services: Services,
    walk: RecoverWalk,
    cursor: int = 0,
    *,
    done: int = 0,
    ended_before_ms: int | None = None,
) -> TaskStep:
    """Look at the next events after a position; `done` is how many deliveries the walk brought back before.

    What it brings back is spread out behind that, by the endpoint's rate limit or 50 a second, so that new events come first.
    With `ended_before_ms` what was parked later is left alone.
    """
    endpoint = await load_enabled(services, walk.project, walk.endpoint)
    page, then = await read_chunk(services, walk, cursor)
    ids = [event for event, position in page if position <= walk.last]
    wanted = await pick_events(services, walk, endpoint, ids) if ids else []
    count = await bring_back(services, endpoint, wanted, done=done, ended_before_ms=ended_before_ms)
    return TaskStep(looked=len(ids), count=count, cursor=then)


async def read_chunk(
    services: Services, walk: RecoverWalk, after: int
) -> tuple[Sequence[tuple[str, int]], str | None]:
    """Return the next ids and positions of a project's feed, and the cursor behind them; None where the walk ends.

    With `after` 0 the walk begins: it skips what was told before its period.
    """
    after = after or await services.store.feed.skip_until(walk.project, walk.since_ms)
    page = await services.store.feed.read(walk.project, after=after, limit=CHUNK)
    is_over = len(page) < CHUNK or page[-1][1] >= walk.last
    return page, None if is_over else str(page[-1][1])


async def measure(services: Services, walk: RecoverWalk) -> int:
    """Return how many events a walk looks at, at most."""
    feed = services.store.feed
    ahead = walk.last - await feed.skip_until(walk.project, walk.since_ms)
    return min(ahead, await feed.size(walk.project))


async def bring_back(
    services: Services,
    endpoint: Endpoint,
    events: Sequence[EventRecord],
    *,
    done: int,
    ended: bool = False,
    ended_before_ms: int | None = None,
) -> int:
    """Make the deliveries that an endpoint lacks, and start parked ones again; return how many.

    With `ended` those that had succeeded or were cancelled start again too, marked as sent again; with `ended_before_ms`
    only what was over by then.
    """
    wanted, count = list(events), 0
    for _ in range(TRIES):
        if not wanted:
            return count
        written, wanted = await _bring_back(
            services, endpoint, wanted, done=done + count, ended=ended, ended_before_ms=ended_before_ms
        )
        count += written
    raise Conflict("these deliveries are being changed by others: repeat the request")


async def restart_open(services: Services, endpoint: Endpoint) -> int:
    """Start what is pending or parked again, after a change of the endpoint's URL or headers; return how many.

    Only the newest 20,000 deliveries are looked at; older ones that are pending follow when they are due.
    """
    if not endpoint.enabled:
        return 0
    count = 0
    place: Cursor | None = None
    for _ in range(0, MAX_SCANNED, CHUNK):
        page = await services.store.indexes.deliveries_of_endpoint(endpoint.id, cursor=place, limit=CHUNK)
        found = await load_deliveries(services.store, [at.id for at in page])
        count += await _restart(services, endpoint, [each for each in found if each.record.state in OPEN])
        if len(page) < CHUNK:
            break
        place = page[-1]
    return count


async def load_enabled(services: Services, project: str, identifier: str) -> Endpoint:
    """Load an endpoint; NotFound where this project has none such, Conflict for a disabled one."""
    endpoint = (await find(services, project, identifier)).record
    if not endpoint.enabled:
        raise Conflict("this endpoint is disabled: enable it first, then recover")
    return endpoint


async def pick_events(
    services: Services, walk: RecoverWalk, endpoint: Endpoint | None, ids: Sequence[str]
) -> list[EventRecord]:
    """Return those of some events that lie in the period and pass the endpoint's filter as it is now, if there is one."""
    events = (await services.store.load_many(Wanted(events=ids))).events
    some = [events[each].record for each in ids if each in events]
    some = [
        each
        for each in some
        if each.at_ms >= walk.since_ms and (walk.until_ms is None or each.at_ms <= walk.until_ms)
    ]
    if endpoint is None:
        return some
    jobs = await _load_jobs(services, some)
    return [each for each in some if each.job in jobs and _is_wanted(endpoint, each, jobs[each.job].record)]


def _is_wanted(endpoint: Endpoint, event: EventRecord, job: Job) -> bool:
    known = CATALOGUE.types.get(event.type)
    if known is None or (
        known.service and endpoint.id.encode() in event.body
    ):  # it is told nothing of itself
        return False
    persona = "" if known.service else persona_of(job)
    return wants(endpoint, event.type, ending=known.ending, persona=persona)


async def _bring_back(
    services: Services,
    endpoint: Endpoint,
    events: Sequence[EventRecord],
    *,
    done: int,
    ended: bool,
    ended_before_ms: int | None,
) -> tuple[int, list[EventRecord]]:
    """Make or restart deliveries; return how many, and the events whose records others changed meanwhile."""
    jobs = await _load_jobs(services, events)
    names = {each.id: delivery_id(each.id, endpoint.id) for each in events}
    found = {each.record.id: each for each in await load_deliveries(services.store, list(names.values()))}
    dues = await load_dues(services.store, [each.record for each in found.values()])
    staged: list[tuple[EventRecord, UnitOfWork]] = []
    for event in events:
        delay_ms = round((done + len(staged)) * 1000 / (endpoint.rate or PER_SECOND))
        unit = services.unit_of_work(event.id[4])
        known = found.get(names[event.id])
        if known is not None and not ended_before(known.record, ended_before_ms):
            continue
        if known is None and event.job in jobs:
            unit.require_job(event.job, jobs[event.job])
            unit.add_delivery(_make(endpoint, event, unit.now_ms), delay_ms, if_missing=True)
        elif known is not None and known.record.state is DeliveryState.PARKED:
            start_again(unit, known, dues[known.record.id], lane=endpoint.lane, delay_ms=delay_ms)
        elif known is not None and ended and known.record.state is not DeliveryState.PENDING:
            marked = Loaded(replace(known.record, resend=True), known.raw)
            start_again(unit, marked, dues[known.record.id], lane=endpoint.lane, delay_ms=delay_ms)
        else:
            continue
        staged.append((event, unit))
    results = await _commit(services, [unit for _, unit in staged])
    missed = [event for (event, _), is_done in zip(staged, results, strict=True) if not is_done]
    return sum(results), missed


def _make(endpoint: Endpoint, event: EventRecord, now_ms: int) -> Delivery:
    return new_delivery(
        event=event.id,
        job=event.job,
        subscription=endpoint.id,
        project=endpoint.project,
        lane=endpoint.lane,
        now_ms=now_ms,
    )


async def _restart(services: Services, endpoint: Endpoint, found: Sequence[Loaded[Delivery]]) -> int:
    """Start deliveries again at once; those that others change meanwhile are left to them."""
    dues = await load_dues(services.store, [each.record for each in found])
    units = []
    for each in found:
        unit = services.unit_of_work(each.record.id[4])
        start_again(unit, each, dues[each.record.id], lane=endpoint.lane)
        units.append(unit)
    return sum(await _commit(services, units))


async def _load_jobs(services: Services, events: Sequence[EventRecord]) -> Mapping[str, Loaded[Job]]:
    return (await services.store.load_many(Wanted(jobs=sorted({each.job for each in events})))).jobs


async def _commit(services: Services, units: Sequence[UnitOfWork]) -> list[bool]:
    """Commit changes, in one round trip for each shard; return in order whether nobody else was first."""
    done: dict[int, bool] = {}
    for shard in sorted({unit.shard for unit in units}):
        places = [place for place, unit in enumerate(units) if unit.shard == shard]
        results = await services.store.committer.commit_many([units[place].change() for place in places])
        done |= {place: result == "done" for place, result in zip(places, results, strict=True)}
    return [done[place] for place in range(len(units))]
