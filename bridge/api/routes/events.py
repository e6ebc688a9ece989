"""Routes of events, deliveries and the inbox."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from msgspec import Raw

from bridge.api.requests.fields import DeliveryQuery, EventQuery, RecoverBody, timestamp_ms
from bridge.api.responses.event_models import (
    DeliveryPage,
    DeliveryShape,
    EventPage,
    EventShape,
    InboxPage,
    RecoveredShape,
    ResentShape,
)
from bridge.api.responses.json_response import reply
from bridge.api.responses.views import view_delivery
from bridge.api.routing import ApiCall, Routes
from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services import event_lists, events
from bridge.services.deliveries import admin as deliveries
from bridge.services.deliveries import lists
from bridge.services.deliveries.recovery import recover
from bridge.services.deliveries.waits import find_waits
from bridge.services.queries import load_events

ROUTES = Routes("Events and deliveries")
# A cursor is a direction, events before (`b`) or after (`a`), and a position in the project's feed.
_CURSOR = re.compile(r"([ab])(\d{1,15})", re.ASCII)


@ROUTES.add("GET", "/v1/events", scope="read", query=EventQuery, answers={200: EventPage}, errors=(404,))
async def list_events(call: ApiCall) -> web.StreamResponse:
    """List events, newest first; those after `after` oldest first; `wait` waits for a first one."""
    query = call.query(EventQuery)
    if query.type is not None and query.type not in CATALOGUE.types:
        raise ValidationFailed("type", "no such event type: GET /v1/event-types lists them")
    before, after = await _read_position(call, query)
    waits = query.wait > 0 and before is None  # before a position nothing can be added
    newest = await call.services.store.feed.last(call.project) if waits else 0
    found, more = await _read(call, query, before, after)
    if waits and not found and more is None:
        found, more = await _wait(call, query, after, newest)
    data = [Raw(event.body) for event, _ in found]
    if after is not None:
        last = more if more is not None else found[-1][1] if found else after
        return reply({"data": data, "next_cursor": f"a{last}"})
    return reply({"data": data, "next_cursor": None if more is None else f"b{more}"})


async def _read_position(call: ApiCall, query: EventQuery) -> tuple[int | None, int | None]:
    """Return the positions that the events must be before and after, at most one of which is not None."""
    if query.after is not None and query.cursor is not None:
        raise ValidationFailed("cursor", "send either after or cursor")
    text = query.after or query.cursor
    if text is None:
        return None, None
    if query.after is not None and query.after.startswith("evt_"):
        event = await events.get_event(call.services, call.project, query.after)
        return None, await call.services.store.feed.position_of(call.project, event.id) or 0
    if query.after is not None and re.fullmatch(r"\d{1,15}", query.after, re.ASCII):
        return None, int(query.after)
    cursor = _CURSOR.fullmatch(text)
    if cursor is None:
        raise ValidationFailed(
            "after" if query.after else "cursor", "use an event's id, or next_cursor as the list gave it"
        )
    position = int(cursor[2])
    return (None, position) if cursor[1] == "a" or query.after is not None else (position, None)


async def _read(
    call: ApiCall, query: EventQuery, before: int | None, after: int | None
) -> tuple[list[tuple[EventRecord, int]], int | None]:
    return await event_lists.list_events(
        call.services,
        call.project,
        type_=query.type,
        kind=query.kind,
        job_id=query.job_id,
        before=before,
        after=after,
        limit=query.limit,
    )


async def _wait(
    call: ApiCall, query: EventQuery, after: int | None, newest: int
) -> tuple[list[tuple[EventRecord, int]], int | None]:
    """Wait for a first event that fits; up to the position `newest` there is none.

    However long it waits, it looks at each event once.
    """
    loop, polls = asyncio.get_running_loop(), call.api.long_polls
    until_s = loop.time() + query.wait
    seen = max(newest, after or 0)
    with polls.enter(call.project) as poll:
        while True:
            await poll.sleep(until_s - loop.time())
            newest = await polls.newest(call.project)
            if newest > seen:
                found, more = await _read(call, query, None, seen)
                if found:
                    return (found, more) if after is not None else await _read(call, query, None, None)
                seen = newest if more is None else more
            if call.is_gone() or poll.ended.is_set() or loop.time() >= until_s:
                return [], None if after is None else seen


@ROUTES.add("GET", "/v1/events/{id}", scope="read", answers={200: EventShape}, errors=(404,))
async def get_event(call: ApiCall) -> web.StreamResponse:
    """Read an event."""
    return reply(Raw((await events.get_event(call.services, call.project, call.path("id"))).body))


@ROUTES.add("POST", "/v1/events/{id}/resend", scope="manage", answers={200: ResentShape}, errors=(404, 409))
async def resend_event(call: ApiCall) -> web.StreamResponse:
    """Send an event again to every callback that it was sent to, also after a 2xx."""
    again = await events.resend(call.services, call.project, call.path("id"))
    dues = await lists.next_attempts_ms(call.services, again)
    data = await _view_all(call, [(delivery, dues[delivery.id]) for delivery in again])
    return reply({"id": call.path("id"), "object": "event", "data": data})


async def _view(call: ApiCall, delivery: Delivery) -> DeliveryShape:
    dues = await lists.next_attempts_ms(call.services, [delivery])
    (view,) = await _view_all(call, [(delivery, dues[delivery.id])])
    return view


async def _view_all(call: ApiCall, found: Sequence[tuple[Delivery, int | None]]) -> list[DeliveryShape]:
    dues = {delivery.id: due_ms for delivery, due_ms in found}
    waits = await find_waits(call.services, [delivery for delivery, _ in found], dues)
    return [view_delivery(each, due_ms=due_ms, wait=waits.get(each.id)) for each, due_ms in found]


@ROUTES.add("GET", "/v1/deliveries", scope="read", query=DeliveryQuery, answers={200: DeliveryPage})
async def list_deliveries(call: ApiCall) -> web.StreamResponse:
    """List deliveries, newest first."""
    query = call.query(DeliveryQuery)
    found, cursor = await lists.list_deliveries(
        call.services,
        call.project,
        state=query.state,
        subscription=query.callback_id,
        event_id=query.event_id,
        cursor=query.cursor,
        limit=query.limit,
    )
    return reply({"data": await _view_all(call, found), "next_cursor": cursor})


@ROUTES.add("GET", "/v1/deliveries/{id}", scope="read", answers={200: DeliveryShape}, errors=(404,))
async def get_delivery(call: ApiCall) -> web.StreamResponse:
    """Read a delivery with its attempts."""
    delivery = await deliveries.get_delivery(call.services, call.project, call.path("id"))
    view = await _view(call, delivery)
    found = await load_events(call.services.store, (delivery.event,))
    return reply({**view, "event_type": found[0].type} if found else view)


@ROUTES.add(
    "POST", "/v1/deliveries/{id}/retry", scope="manage", answers={200: DeliveryShape}, errors=(404, 409)
)
async def retry_delivery(call: ApiCall) -> web.StreamResponse:
    """Make one extra attempt now; the retry schedule is unchanged."""
    return reply(await _view(call, await deliveries.retry(call.services, call.project, call.path("id"))))


@ROUTES.add("POST", "/v1/deliveries/recover", scope="manage", body=RecoverBody, answers={200: RecoveredShape})
async def recover_deliveries(call: ApiCall) -> web.StreamResponse:
    """Send the parked deliveries of a period again, each exactly once."""
    body = await call.body(RecoverBody)
    count = await recover(
        call.services,
        call.project,
        since_ms=timestamp_ms(body.since),
        until_ms=None if body.until is None else timestamp_ms(body.until),
        state=body.state,
    )
    answer: RecoveredShape = {"id": "recover", "object": "recovery", "count": count}
    return reply(answer)


@ROUTES.add("GET", "/v1/inbox", scope="read", answers={200: InboxPage})
async def read_inbox(call: ApiCall) -> web.StreamResponse:
    """Read the newest hundred deliveries to `inbox:`."""
    entries: list[Any] = [Raw(entry) for entry in await call.services.store.inbox.list(call.project)]
    return reply({"data": entries, "next_cursor": None})
