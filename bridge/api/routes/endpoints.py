"""Routes of standing endpoints."""

from collections.abc import Sequence

from aiohttp import web
from msgspec import UNSET, to_builtins

from bridge.api.idempotency import Answered, answer_once, name_request
from bridge.api.requests.commands import judge_secret
from bridge.api.requests.endpoint_request import (
    EndpointBody,
    EndpointChange,
    EndpointRecoverBody,
    EndpointTestBody,
    read_change,
    read_endpoint,
)
from bridge.api.requests.fields import PageQuery, RotateBody, StatePageQuery, timestamp_ms
from bridge.api.responses.endpoint_models import EndpointPage, EndpointSecretShape, EndpointShape
from bridge.api.responses.endpoint_views import previous_expiry, view_endpoint
from bridge.api.responses.event_models import DeliveryPage, RecoveredShape
from bridge.api.responses.json_response import reply, to_json
from bridge.api.responses.models import Deleted, TestShape
from bridge.api.responses.task_views import view_recovery
from bridge.api.responses.views import view_test
from bridge.api.routes.administration import paginate
from bridge.api.routes.events import view_deliveries
from bridge.api.routing import ApiCall, Routes
from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import Conflict, ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services.deliveries import lists
from bridge.services.deliveries.endpoint_recovery import begin_recovery, measure, restart_open
from bridge.services.deliveries.send_test import send_test_to
from bridge.services.following.followed_personas import load_followed
from bridge.services.subscriptions import endpoints
from bridge.services.subscriptions.sealing import open_secrets, open_url, show_url
from bridge.services.tasks.kinds import RECOVER_ENDPOINT
from bridge.services.tasks.start import create_task, finish_task

ROUTES = Routes("Endpoints")
DROPPED = "two secrets signed before this rotation; the older of them does not sign any more"


async def _view_many(
    call: ApiCall, endpoints: Sequence[Endpoint], *, whole: bool = False
) -> list[EndpointShape]:
    """Return endpoints, with their whole URLs if `whole` is set and the key may see them."""
    see_url = open_url if whole and call.shows_secrets else show_url
    followed = await load_followed(call.services, call.project, endpoints)
    store, now_ms = call.services.store, call.services.clock_ms()
    breakers = await store.breakers.look({each.lane for each in endpoints}, now_ms=now_ms)
    return [
        view_endpoint(
            each,
            url=see_url(store.vault, each),
            now_ms=now_ms,
            followed=followed,
            breaker=breakers[each.lane],
        )
        for each in endpoints
    ]


async def _view(call: ApiCall, endpoint: Endpoint) -> EndpointShape:
    return (await _view_many(call, (endpoint,), whole=True))[0]


async def _with_secret(call: ApiCall, endpoint: Endpoint) -> EndpointShape:
    now_ms = call.services.clock_ms()
    secret = open_secrets(call.services.store.vault, endpoint, now_ms=now_ms)[0]
    return {**await _view(call, endpoint), "secret": secret}


@ROUTES.add(
    "POST",
    "/v1/endpoints",
    scope="manage",
    body=EndpointBody,
    lenient=True,
    answers={201: EndpointShape},
    errors=(409,),
)
async def create_endpoint(call: ApiCall) -> web.StreamResponse:
    """Create an endpoint: a URL that gets all matching events of the project."""
    body, fields = read_endpoint(await call.fields(), call.services.policy)
    url = fields.url
    assert isinstance(url, CheckedUrl)

    async def work() -> Answered:
        made = await endpoints.create(
            call.services, call.project, fields, url=url, secret=body.secret, request=name_request(call)
        )
        return Answered(
            status=201, body=to_json(await _with_secret(call, made)), location=f"/v1/endpoints/{made.id}"
        )

    outcome = await answer_once(call, work)
    response = web.Response(
        body=outcome.answer.body,
        status=outcome.answer.status,
        content_type="application/json",
        charset="utf-8",
        headers={"Location": call.link(outcome.answer.location)},
    )
    if outcome.repeated:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@ROUTES.add("GET", "/v1/endpoints", scope="manage", query=PageQuery, answers={200: EndpointPage})
async def list_endpoints(call: ApiCall) -> web.StreamResponse:
    """List endpoints, newest first, with masked URLs."""
    rows, cursor = paginate(await endpoints.list_newest(call.services, call.project), call.query(PageQuery))
    return reply({"data": await _view_many(call, rows), "next_cursor": cursor})


@ROUTES.add("GET", "/v1/endpoints/{id}", scope="manage", answers={200: EndpointShape}, errors=(404,))
async def get_endpoint(call: ApiCall) -> web.StreamResponse:
    """Read an endpoint."""
    found = await endpoints.find(call.services, call.project, call.path("id"))
    return reply(await _view(call, found.record))


@ROUTES.add(
    "PATCH",
    "/v1/endpoints/{id}",
    scope="manage",
    body=EndpointChange,
    lenient=True,
    answers={200: EndpointShape},
    errors=(404, 409),
)
async def change_endpoint(call: ApiCall) -> web.StreamResponse:
    """Change an endpoint; a new URL gets what still waits, another filter applies to new events only."""
    fields = read_change(await call.fields(), call.services.policy)
    changed = await endpoints.patch(call.services, call.project, call.path("id"), fields)
    if fields.url is not UNSET or fields.headers is not UNSET:
        await restart_open(call.services, changed)
    return reply(await _view(call, changed))


@ROUTES.add("DELETE", "/v1/endpoints/{id}", scope="manage", answers={200: Deleted})
async def delete_endpoint(call: ApiCall) -> web.StreamResponse:
    """Delete an endpoint with what waits for it; idempotent."""
    identifier = call.path("id")
    await endpoints.delete(call.services, call.project, identifier)
    return reply({"id": identifier, "deleted": True})


@ROUTES.add(
    "GET", "/v1/endpoints/{id}/secret", scope="admin", answers={200: EndpointSecretShape}, errors=(404,)
)
async def get_endpoint_secret(call: ApiCall) -> web.StreamResponse:
    """Read the secret that signs an endpoint's deliveries."""
    found = (await endpoints.find(call.services, call.project, call.path("id"))).record
    now_ms = call.services.clock_ms()
    answer: EndpointSecretShape = {
        "id": found.id,
        "object": "secret",
        "secret": open_secrets(call.services.store.vault, found, now_ms=now_ms)[0],
        "previous_expires_at": previous_expiry(found, now_ms=now_ms),
    }
    return reply(answer)


@ROUTES.add(
    "POST",
    "/v1/endpoints/{id}/rotate-secret",
    scope="manage",
    body=RotateBody,
    lenient=True,
    answers={200: EndpointShape},
    errors=(404, 409),
)
async def rotate_endpoint_secret(call: ApiCall) -> web.StreamResponse:
    """Replace an endpoint's secret; the former one signs too for 24 hours."""
    body = await call.body(RotateBody)
    if body.secret is not None:
        judge_secret(body.secret)
    before = (await endpoints.find(call.services, call.project, call.path("id"))).record
    drops = endpoints.drops_secret(before, now_ms=call.services.clock_ms())
    rotated = await endpoints.rotate(call.services, call.project, before.id, body.secret)
    view = await _with_secret(call, rotated)
    return reply({**view, "note": DROPPED} if drops and rotated.secret != before.secret else view)


@ROUTES.add(
    "POST",
    "/v1/endpoints/{id}/test",
    scope="manage",
    body=EndpointTestBody,
    lenient=True,
    answers={200: TestShape},
    errors=(404, 409),
)
async def test_endpoint(call: ApiCall) -> web.StreamResponse:
    """Send a signed sample to an endpoint and report its answer; it is no event of the feed."""
    body = await call.body(EndpointTestBody)
    if body.type not in CATALOGUE.types:
        raise ValidationFailed("type", "not an event type: use one that GET /v1/event-types lists")
    found = (await endpoints.find(call.services, call.project, call.path("id"))).record
    if found.origin == INBOX:
        raise Conflict(
            "an inbox always takes what comes: give the endpoint the URL of a receiver to test that"
        )
    call.api.authenticator.take_test(call.project)
    return reply(view_test(*await send_test_to(call.services, found, type_=body.type)))


@ROUTES.add(
    "GET",
    "/v1/endpoints/{id}/deliveries",
    scope="manage",
    query=StatePageQuery,
    answers={200: DeliveryPage},
    errors=(404,),
)
async def list_endpoint_deliveries(call: ApiCall) -> web.StreamResponse:
    """List an endpoint's deliveries, newest first."""
    query = call.query(StatePageQuery)
    endpoint = (await endpoints.find(call.services, call.project, call.path("id"))).record
    found, cursor = await lists.list_deliveries(
        call.services,
        call.project,
        state=query.state,
        subscription=endpoint.id,
        cursor=query.cursor,
        limit=query.limit,
    )
    return reply({"data": await view_deliveries(call, found), "next_cursor": cursor})


@ROUTES.add(
    "POST",
    "/v1/endpoints/{id}/recover",
    scope="manage",
    body=EndpointRecoverBody,
    lenient=True,
    answers={200: RecoveredShape},
    errors=(404, 409),
)
async def recover_endpoint(call: ApiCall) -> web.StreamResponse:
    """Send an endpoint the events of a period that it lacks, or that are parked, each exactly once."""
    body = await call.body(EndpointRecoverBody)
    until_ms = None if body.until is None else timestamp_ms(body.until)
    walk = await begin_recovery(
        call.services, call.project, call.path("id"), since_ms=timestamp_ms(body.since), until_ms=until_ms
    )
    task = await create_task(
        call.services,
        call.project,
        RECOVER_ENDPOINT,
        to_builtins(walk),
        total=await measure(call.services, walk),
    )
    return reply(view_recovery(walk.endpoint, await finish_task(call.services, task)))
