"""The route `POST /v1/callbacks`: its answer means durable, and no delivery starts before the answer is sent."""

import asyncio
from collections.abc import Sequence

from aiohttp import web
from msgspec import structs

from bridge.api.idempotency import Answered, answer_once, name_request
from bridge.api.requests.callback_request import CallbackRequest, read_callback_request
from bridge.api.requests.commands import plan_commands
from bridge.api.requests.fields import CallbackBody
from bridge.api.responses.callback_models import CallbackGroup, CallbackShape
from bridge.api.responses.json_response import to_json
from bridge.api.responses.views import view_callback
from bridge.api.routing import ApiCall, Routes
from bridge.config.log import get_logger
from bridge.domain.ids import read_request_id
from bridge.services.groups.group_registration import plan_chain, plan_group
from bridge.services.jobs import registration
from bridge.services.jobs import verify as verification
from bridge.services.jobs.registration import Registered
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.subscriptions.endpoints import check_versions

log = get_logger("bridge.api")
ROUTES = Routes("Callbacks")
VIEWS_AT_ONCE = 100


@ROUTES.add(
    "POST",
    "/v1/callbacks",
    scope="register",
    by_query=True,
    body=CallbackBody,
    lenient=True,
    answers={201: CallbackShape | CallbackGroup, 200: CallbackShape | CallbackGroup},
    errors=(404, 409, 503),
)
async def create_callback(call: ApiCall) -> web.StreamResponse:
    """Register a callback for a job; one that is registered already for the same job and URL is updated (200)."""
    request = read_callback_request(
        call.content, call.request.headers.get("Content-Type", ""), call.query_pairs()
    )
    commands = plan_commands(request, call.services.policy)
    registered: list[Registered] = []
    is_one = request.follow or request.wait_for is not None

    async def work() -> Answered:
        if is_one:
            await check_versions(call.services)
        if request.verify:
            await verification.verify(call.services, call.project, commands)
        name = name_request(call)
        planned = _plan(call, request, commands)
        named = [structs.replace(command, request=name) for command in planned] if name else planned
        made = await registration.register(call.services, call.project, named)
        registered.extend(made[-1:] if is_one else made)
        call.api.metrics.count_registrations(request.jobs.kind, len(registered))
        return await _answer(request, registered)

    outcome = await answer_once(call, work)
    answer = outcome.answer
    response = web.Response(
        body=answer.body, status=answer.status, content_type="application/json", charset="utf-8"
    )
    if answer.location:
        response.headers["Location"] = call.link(answer.location)
    if outcome.repeated:
        response.headers["Idempotent-Replayed"] = "true"
    if registered:
        response.headers["X-Request-Id"] = read_request_id(registered[0].callback.id)
    # Also an updated callback may have a first delivery on hold: that of a request whose answer was lost.
    await _send(call, response, [each.callback.id for each in registered])
    return response


def _plan(
    call: ApiCall, request: CallbackRequest, commands: Sequence[RegisterCallback]
) -> Sequence[RegisterCallback]:
    """Return the commands that a request leads to; the last one has the callback where there is one for several jobs."""
    if request.wait_for:
        return plan_group(call.services, commands)
    return plan_chain(call.services, commands[0]) if request.follow else commands


async def _send(call: ApiCall, response: web.Response, callbacks: Sequence[str]) -> None:
    """Send the answer, then release the first deliveries.

    If the client has disconnected, they stay on hold until the hold expires: the client has no answer and will repeat
    the request, which is to find the callback before it is closed.
    """
    gone = False
    try:
        await response.prepare(call.request)
        await response.write_eof()
    except ConnectionError:
        gone = True
        log.info("api.client_gone", callbacks=len(callbacks))  # aiohttp notices by itself and closes
    finally:
        if callbacks and not gone:
            registration.release_holds(call.services, callbacks)


async def _answer(request: CallbackRequest, registered: Sequence[Registered]) -> Answered:
    views: list[CallbackShape] = []
    for each in registered:
        views.append(_view(each, request.callback_url))
        if len(views) % VIEWS_AT_ONCE == 0:
            await asyncio.sleep(0)  # other requests come between
    updated = all(each.updated for each in registered)
    first = views[0]
    is_list = request.jobs.many and not (request.wait_for or request.follow)
    body = to_json({"id": first["id"], "data": views} if is_list else first)
    location = "" if updated else f"/v1/callbacks/{first['id']}"
    return Answered(status=200 if updated else 201, body=body, location=location)


def _view(registered: Registered, url: str) -> CallbackShape:
    """Return a registered callback with its whole URL, which the client has just sent."""
    callback = registered.callback
    view = view_callback(
        registered.job, callback, state=callback.state, due_ms=registered.next_poll_ms, url=url
    )
    return {**view, "updated": True} if registered.updated else view
