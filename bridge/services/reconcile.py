"""Compare the events that a receiver has with those of the feed, and send it what it lacks."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.domain.events.records import EventRecord
from bridge.domain.tasks import TaskStep
from bridge.errors import Conflict
from bridge.services.context import Services
from bridge.services.deliveries.endpoint_recovery import (
    CHUNK,
    RecoverWalk,
    begin_walk,
    bring_back,
    load_enabled,
    pick_events,
    read_chunk,
)
from bridge.services.events import resend

MOST: Final = 1_000  # missing events that one request finds and sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Events that a receiver lacks, in the order of the feed, and the position to go on from; None: that is all."""

    events: tuple[EventRecord, ...]
    cursor: int | None


async def begin(
    services: Services, project: str, endpoint: str | None, *, since_ms: int, until_ms: int | None
) -> RecoverWalk:
    """Return a walk over what the feed has now, for an endpoint or for all callbacks."""
    if endpoint is not None:
        return await begin_walk(services, project, endpoint, since_ms=since_ms, until_ms=until_ms)
    last = await services.store.feed.last(project)
    return RecoverWalk(project=project, endpoint="", since_ms=since_ms, until_ms=until_ms, last=last)


async def find_missing(
    services: Services, walk: RecoverWalk, known: Collection[str], *, after: int = 0
) -> Missing:
    """Return the events behind a position that are not among the known ones and pass the endpoint's filter, if it has one."""
    endpoint = await load_enabled(services, walk.project, walk.endpoint) if walk.endpoint else None
    found: list[EventRecord] = []
    while True:
        page, then = await read_chunk(services, walk, after)
        ids = [event for event, at in page if at <= walk.last and event not in known]
        found += await pick_events(services, walk, endpoint, ids) if ids else []
        if then is None:
            return Missing(events=tuple(found), cursor=None)
        after = int(then)
        if len(found) > MOST - CHUNK:  # with another page there might be too many
            return Missing(events=tuple(found), cursor=after)


async def reconcile_chunk(
    services: Services,
    walk: RecoverWalk,
    known: Collection[str],
    after: int,
    *,
    done: int,
    ended_before_ms: int | None,
) -> TaskStep:
    """Send those of the next events behind a position that are not among the known ones; see `send_missing`."""
    endpoint = await load_enabled(services, walk.project, walk.endpoint) if walk.endpoint else None
    page, then = await read_chunk(services, walk, after)
    ids = [event for event, at in page if at <= walk.last and event not in known]
    events = await pick_events(services, walk, endpoint, ids) if ids else []
    found = Missing(events=tuple(events), cursor=None)
    count = await send_missing(services, walk, found, done=done, ended_before_ms=ended_before_ms)
    return TaskStep(looked=len(page), count=count, cursor=then)


async def send_missing(
    services: Services,
    walk: RecoverWalk,
    missing: Missing,
    *,
    done: int = 0,
    ended_before_ms: int | None = None,
) -> int:
    """Send events to the endpoint, else to every callback that got them; return how many are on their way then.

    What had arrived before goes out marked `webhook-resend: true`. An event that is just being sent is not sent twice,
    nor with `ended_before_ms` one whose sending ended later.
    """
    if walk.endpoint:
        endpoint = await load_enabled(services, walk.project, walk.endpoint)
        return await bring_back(
            services, endpoint, missing.events, done=done, ended=True, ended_before_ms=ended_before_ms
        )
    count = 0
    for event in missing.events:
        with suppress(Conflict):
            count += bool(await resend(services, walk.project, event.id, ended_before_ms=ended_before_ms))
    return count
