"""Routes of events, deliveries and the inbox."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web
from msgspec import Raw, to_builtins

from bridge.api.requests.fields import DeliveryQuery, RecoverBody, timestamp_ms
from bridge.api.responses.event_models import (
    DeliveryPage,
    DeliveryShape,
    EventShape,
    InboxPage,
    RecoveredShape,
    ResentShape,
)
from bridge.api.responses.json_response import reply
from bridge.api.responses.task_views import view_recovery
from bridge.api.responses.views import view_delivery
from bridge.api.routing import ApiCall, Routes
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import is_endpoint
from bridge.errors import ValidationFailed
from bridge.services import events
from bridge.services.deliveries import admin as deliveries
from bridge.services.deliveries import lists
from bridge.services.deliveries.recovery import Recovery, count_deliveries, first_cursor
from bridge.services.deliveries.waits import find_waits
from bridge.services.queries import load_events
from bridge.services.tasks.kinds import RECOVER_DELIVERIES
from bridge.services.tasks.start import create_task, finish_task

ROUTES = Routes("Events and deliveries")


@ROUTES.add("GET", "/v1/events/{id}", scope="read", answers={200: EventShape}, errors=(404,))
async def get_event(call: ApiCall) -> web.StreamResponse:
    """Read an event."""
    return reply(Raw((await events.get_event(call.services, call.project, call.path("id"))).body))


@ROUTES.add("POST", "/v1/events/{id}/resend", scope="manage", answers={200: ResentShape}, errors=(404, 409))
async def resend_event(call: ApiCall) -> web.StreamResponse:
    """Send an event again to every callback that it was sent to, also after a 2xx."""
    again = await events.resend(call.services, call.project, call.path("id"))
    dues = await lists.next_attempts_ms(call.services, again)
    data = await view_deliveries(call, [(delivery, dues[delivery.id]) for delivery in again])
    return reply({"id": call.path("id"), "object": "event", "data": data})


async def _view(call: ApiCall, delivery: Delivery) -> DeliveryShape:
    dues = await lists.next_attempts_ms(call.services, [delivery])
    (view,) = await view_deliveries(call, [(delivery, dues[delivery.id])])
    return view


async def view_deliveries(call: ApiCall, found: Sequence[tuple[Delivery, int | None]]) -> list[DeliveryShape]:
    """Return deliveries, each with what holds it back."""
    dues = {delivery.id: due_ms for delivery, due_ms in found}
    waits = await find_waits(call.services, [delivery for delivery, _ in found], dues)
    return [view_delivery(each, due_ms=due_ms, wait=waits.get(each.id)) for each, due_ms in found]


@ROUTES.add("GET", "/v1/deliveries", scope="read", query=DeliveryQuery, answers={200: DeliveryPage})
async def list_deliveries(call: ApiCall) -> web.StreamResponse:
    """List deliveries, newest first."""
    query = call.query(DeliveryQuery)
    if query.callback_id and query.endpoint_id:
        raise ValidationFailed("endpoint_id", "send either callback_id or endpoint_id")
    if query.endpoint_id and not is_endpoint(query.endpoint_id):
        raise ValidationFailed("endpoint_id", "not an endpoint's id: use one that GET /v1/endpoints lists")
    found, cursor = await lists.list_deliveries(
        call.services,
        call.project,
        state=query.state,
        subscription=query.callback_id or query.endpoint_id,
        event_id=query.event_id,
        cursor=query.cursor,
        limit=query.limit,
    )
    return reply({"data": await view_deliveries(call, found), "next_cursor": cursor})


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


@ROUTES.add(
    "POST",
    "/v1/deliveries/recover",
    scope="manage",
    body=RecoverBody,
    answers={200: RecoveredShape},
    errors=(409,),
)
async def recover_deliveries(call: ApiCall) -> web.StreamResponse:
    """Send the parked deliveries of a period again, each exactly once."""
    body = await call.body(RecoverBody)
    until_ms = None if body.until is None else timestamp_ms(body.until)
    wanted = Recovery(since_ms=timestamp_ms(body.since), until_ms=until_ms, state=DeliveryState(body.state))
    task = await create_task(
        call.services,
        call.project,
        RECOVER_DELIVERIES,
        to_builtins(wanted),
        total=await count_deliveries(call.services, call.project, wanted),
        cursor=first_cursor(wanted),
    )
    return reply(view_recovery("recover", await finish_task(call.services, task)))


@ROUTES.add("GET", "/v1/inbox", scope="read", answers={200: InboxPage})
async def read_inbox(call: ApiCall) -> web.StreamResponse:
    """Read the newest hundred deliveries to `inbox:`."""
    entries: list[Any] = [Raw(entry) for entry in await call.services.store.inbox.list(call.project)]
    return reply({"data": entries, "next_cursor": None})
