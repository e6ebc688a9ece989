"""Routes of a project's feed: lists of events, long polls and streams."""

import asyncio
import re

from aiohttp import web
from msgspec import Raw, to_builtins

from bridge.api.requests.fields import EventFilter, EventQuery, ReconcileBody, StreamQuery, timestamp_ms
from bridge.api.responses.event_models import EventPage, ReconciledShape
from bridge.api.responses.json_response import reply, to_json
from bridge.api.responses.server_sent import MEDIA_TYPE, write_event
from bridge.api.routing import ApiCall, Routes
from bridge.api.waiting.event_stream import EventStream, StreamClient
from bridge.domain.events.records import EventRecord
from bridge.errors import NotFound, Unauthorized, ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services import event_lists, reconcile
from bridge.services.feed_places import ReadingStart, find_event, start_after
from bridge.services.tasks.kinds import RECONCILE
from bridge.services.tasks.start import create_task
from bridge.store.errors import STORE_ERRORS

ROUTES = Routes("Events and deliveries")
# A cursor is a direction, events before (`b`) or after (`a`), and a position in the project's feed.
_CURSOR = re.compile(r"([ab]?)(\d{1,15})", re.ASCII)
RECONCILE_BYTES = 512 * 1024  # ten thousand ids
STREAM_PAGE = 25  # events that a stream holds in memory; each has up to 256 KB
RETRY_MS = (
    2_000,
    5_000,
)  # how long clients wait before they connect again; spread, so that not all come at once

Found = tuple[list[tuple[EventRecord, int]], int | None]


@ROUTES.add("GET", "/v1/events", scope="read", query=EventQuery, answers={200: EventPage}, errors=(404,))
async def list_events(call: ApiCall) -> web.StreamResponse:
    """List events, newest first; those after `after` oldest first; `wait` waits for a first one."""
    query = call.query(EventQuery)
    _check_type(query)
    before, after = await _read_position(call, query)
    waits = query.wait > 0 and before is None  # before a position nothing can be added
    newest = await call.services.store.feed.last(call.project) if waits or after is not None else 0
    if after is not None:  # a position that was never given, or was lost by a failover, is behind what comes
        after = min(after, newest)
    found, more = await _read(call, query, before, after, query.limit)
    if waits and not found and more is None:
        found, more = await _wait(call, query, after, newest)
    data = [Raw(event.body) for event, _ in found]
    if after is not None:
        last = more if more is not None else found[-1][1] if found else after
        return reply({"data": data, "next_cursor": f"a{last}"})
    return reply({"data": data, "next_cursor": None if more is None else f"b{more}"})


def _check_type(query: EventFilter) -> None:
    if query.type is not None and query.type not in CATALOGUE.types:
        raise ValidationFailed("type", "no such event type: GET /v1/event-types lists them")


async def _read_position(call: ApiCall, query: EventQuery) -> tuple[int | None, int | None]:
    """Return the positions that the events must be before and after, at most one of which is not None."""
    if query.after is not None and query.cursor is not None:
        raise ValidationFailed("cursor", "send either after or cursor")
    if query.after is not None:
        return None, await _read_after(call, query.after)
    if query.cursor is None:
        return None, None
    cursor = _CURSOR.fullmatch(query.cursor)
    if cursor is None or not cursor[1]:
        raise ValidationFailed("cursor", "use an event's id, or next_cursor as the list gave it")
    return (None, int(cursor[2])) if cursor[1] == "a" else (int(cursor[2]), None)


async def _read_after(call: ApiCall, text: str) -> int:
    """Return the position that a client names by an event's id, by a cursor or by itself."""
    if text.startswith("evt_"):
        position = await find_event(call.services, call.project, text)
        if position is None:
            raise NotFound(f"there is no event {text[:80]} in this project")
        return position
    if (cursor := _CURSOR.fullmatch(text)) is None:
        raise ValidationFailed("after", "use an event's id, or next_cursor as the list gave it")
    return int(cursor[2])


async def _read(
    call: ApiCall, query: EventFilter, before: int | None, after: int | None, limit: int
) -> Found:
    return await event_lists.list_events(
        call.services,
        call.project,
        type_=query.type,
        kind=query.kind,
        job_id=query.job_id,
        before=before,
        after=after,
        limit=limit,
    )


async def _wait(call: ApiCall, query: EventQuery, after: int | None, newest: int) -> Found:
    """Wait for a first event that fits; up to the position `newest` there is none.

    However long it waits, it looks at each event once.
    """
    loop, news = asyncio.get_running_loop(), call.api.feed_news
    until_s = loop.time() + query.wait
    seen = max(newest, after or 0)
    with call.api.long_polls.enter(call.project) as poll, call.connection.telling_when_lost(poll.end):
        while True:
            await poll.sleep(until_s - loop.time())
            newest = await news.newest(call.project)
            if newest > seen:
                found, more = await _read(call, query, None, seen, query.limit)
                if found:
                    return (
                        (found, more)
                        if after is not None
                        else await _read(call, query, None, None, query.limit)
                    )
                seen = newest if more is None else more
            if poll.ended or loop.time() >= until_s:
                return [], None if after is None else seen


@ROUTES.add(
    "GET", "/v1/events/stream", scope="read", query=StreamQuery, answers={200: MEDIA_TYPE}, errors=(404,)
)
async def stream_events(call: ApiCall) -> web.StreamResponse:
    """Stream events as server-sent events, from now on, or behind `after` or the header Last-Event-ID."""
    query, timing = call.query(StreamQuery), call.api.stream_timing
    _check_type(query)
    start = await _find_start(call, query)
    client = StreamClient(call.request, call.connection, timing)
    with (
        call.api.streams.enter(call.project, call.key.id) as waiter,
        call.connection.telling_when_lost(waiter.end),
        call.api.feed_news.hearing_resent(call.project if query.resends else None) as resent,
    ):
        stream = EventStream(
            project=call.project,
            news=call.api.feed_news,
            read=lambda after: _read(call, query, None, after, STREAM_PAGE),
            is_allowed=lambda: _is_allowed(call),
            timing=timing,
            resent=resent,
            read_resent=lambda event_id: _read_resent(call, query, event_id),
        )
        try:
            await client.open(retry_ms=_retry_ms(call), cursor=start.after)
            if start.oldest is not None:
                gap = {"type": "stream.gap", "after": start.after, "oldest": start.oldest}
                await client.write(write_event("stream.gap", to_json(gap)))
            await stream.run(client, waiter, start.after)
            await client.end()
        except (TimeoutError, ConnectionError):  # it takes nothing, or is gone
            client.cut()
    return client.response


async def _read_resent(call: ApiCall, query: StreamQuery, event_id: str) -> EventRecord | None:
    return await event_lists.find_fitting(
        call.services, call.project, event_id, type_=query.type, kind=query.kind, job_id=query.job_id
    )


async def _find_start(call: ApiCall, query: StreamQuery) -> ReadingStart:
    """Return where a stream begins. A client that connects again says where it was; what it first asked for is over."""
    last_id = call.request.headers.get("Last-Event-ID", "").strip()
    if last_id.startswith("evt_"):
        return await start_after(
            call.services, call.project, await find_event(call.services, call.project, last_id)
        )
    if text := last_id or query.after:
        return await start_after(call.services, call.project, await _read_after(call, text))
    return ReadingStart(await call.services.store.feed.last(call.project))


def _retry_ms(call: ApiCall) -> int:
    low, high = RETRY_MS
    return low + int.from_bytes(call.services.dice(4)) % (high - low + 1)


async def _is_allowed(call: ApiCall) -> bool:
    """Return whether the key still counts; an absent store proves nothing."""
    try:
        await call.api.authenticator.find_key(
            call.presented, lambda: call.api.forwarding.client(call.request)
        )
    except Unauthorized:
        return False
    except STORE_ERRORS:
        pass
    return True


@ROUTES.add(
    "POST",
    "/v1/events/reconcile",
    scope="manage",
    body=ReconcileBody,
    body_limit=RECONCILE_BYTES,
    answers={200: ReconciledShape},
    errors=(404, 409),
)
async def reconcile_events(call: ApiCall) -> web.StreamResponse:
    """Send a receiver the events since a time that are not among the ids that it has."""
    body = await call.body(ReconcileBody)
    walk = await reconcile.begin(
        call.services,
        call.project,
        body.endpoint_id,
        since_ms=timestamp_ms(body.since),
        until_ms=None if body.until is None else timestamp_ms(body.until),
    )
    after = int(body.after[1:]) if body.after else 0
    known = frozenset(body.ids)
    missing = await reconcile.find_missing(call.services, walk, known, after=after)
    more = None if missing.cursor is None else f"a{missing.cursor}"
    answer: ReconciledShape = {
        "id": "reconcile",
        "object": "reconciliation",
        "dry_run": body.dry_run,
        "data": [event.id for event in missing.events],
        "count": 0,
        "next_cursor": more,
    }
    if body.dry_run:
        return reply(answer)
    sent = await reconcile.send_missing(call.services, walk, missing)
    if missing.cursor is None:
        return reply({**answer, "count": sent})
    task = await create_task(
        call.services,
        call.project,
        RECONCILE,
        to_builtins(walk),
        total=walk.last - missing.cursor,
        cursor=str(missing.cursor),
        data=to_json(sorted(known)),
    )
    return reply({**answer, "count": sent, "next_cursor": None, "task_id": task.id})
