"""Routes of callbacks after their registration."""

from aiohttp import web
from msgspec import UNSET

from bridge.api.requests.callback_request import EVENT_FIELDS, URL_FIELDS, first_of, read_model
from bridge.api.requests.commands import (
    judge_chain_events,
    judge_events,
    judge_headers,
    judge_secret,
    judge_url,
)
from bridge.api.requests.fields import (
    CallbackChange,
    CallbackQuery,
    CallbackSelection,
    TestBody,
)
from bridge.api.responses.callback_models import CallbackPage, CallbackShape
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import Deleted, TestShape, TimelineShape
from bridge.api.responses.timeline import view_timeline
from bridge.api.responses.views import view_callback, view_test
from bridge.api.routing import ApiCall, Routes
from bridge.domain.jobs.watches import CHAIN
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services.deliveries import lists
from bridge.services.deliveries.send_test import send_test
from bridge.services.deliveries.waits import find_waits
from bridge.services.subscriptions import callback_lists, callbacks
from bridge.services.subscriptions.callbacks import FoundCallback
from bridge.services.subscriptions.patch import CallbackPatch
from bridge.services.subscriptions.sealing import open_url, show_url

ROUTES = Routes("Callbacks")
NOT_REMOVABLE = frozenset({"callback_url", "events"})
CHANGEABLE = ("callback_url", "headers", "metadata", "events", "timeout_seconds")


def view_found(call: ApiCall, found: FoundCallback, *, whole: bool = False) -> CallbackShape:
    """Return a callback, with the whole URL if `whole` is set and the key may see it."""
    see_url = open_url if whole and call.shows_secrets else show_url
    url = see_url(call.services.store.vault, found.callback)
    state = callbacks.view_state(found)
    return view_callback(found.job, found.callback, state=state, due_ms=found.due_ms, url=url)


@ROUTES.add("GET", "/v1/callbacks", scope="read", query=CallbackQuery, answers={200: CallbackPage})
async def list_callbacks(call: ApiCall) -> web.StreamResponse:
    """List callbacks, newest first, with masked URLs."""
    query = call.query(CallbackQuery)
    found, cursor = await callback_lists.list_callbacks(
        call.services,
        call.project,
        kind=query.kind,
        job_id=query.job_id,
        url=query.callback_url,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )
    return reply({"data": [view_found(call, each) for each in found], "next_cursor": cursor})


@ROUTES.add("GET", "/v1/callbacks/{id}", scope="read", answers={200: CallbackShape}, errors=(404,))
async def get_callback(call: ApiCall) -> web.StreamResponse:
    """Read a callback; a key with the scope manage sees its whole URL."""
    return reply(
        view_found(call, await callbacks.get(call.services, call.project, call.path("id")), whole=True)
    )


@ROUTES.add(
    "PATCH",
    "/v1/callbacks/{id}",
    scope="register",
    body=CallbackChange,
    lenient=True,
    answers={200: CallbackShape},
    errors=(404, 409),
)
async def change_callback(call: ApiCall) -> web.StreamResponse:
    """Change a callback; its parked deliveries are sent again."""
    found = await callbacks.get(call.services, call.project, call.path("id"))
    patch = await _read_patch(call, found)
    return reply(
        view_found(
            call, await callbacks.patch(call.services, call.project, call.path("id"), patch), whole=True
        )
    )


async def _read_patch(call: ApiCall, found: FoundCallback) -> CallbackPatch:
    """Return the requested changes: null removes a field, empty text (which tools send for empty fields) is ignored."""
    values = {name: value for name, value in (await call.fields()).values.items() if value != ""}
    url = first_of(values, URL_FIELDS)
    if url is not None:
        values["callback_url"] = url
    if (events := first_of(values, EVENT_FIELDS)) is not None:
        values["events"] = events
    # Null in a field that cannot be removed is ignored, too.
    named = [
        name
        for name in CHANGEABLE
        if name in values and (name not in NOT_REMOVABLE or values[name] is not None)
    ]
    if not named:
        raise ValidationFailed("", f"nothing to change: send one of {', '.join(CHANGEABLE)}")
    change = read_model(CallbackChange, {name: values[name] for name in named})
    headers = None if change.headers is None else judge_headers(change.headers)
    return CallbackPatch(
        url=judge_url(change.callback_url, call.services.policy) if change.callback_url else UNSET,
        headers=headers if "headers" in named else UNSET,
        metadata=change.metadata if "metadata" in named else UNSET,
        events=_judge(change.events or (), found) if "events" in named else UNSET,
        timeout_s=change.timeout_seconds if "timeout_seconds" in named else UNSET,
    )


def _judge(patterns: tuple[str, ...], found: FoundCallback) -> tuple[str, ...]:
    if found.job.kind == CHAIN:
        return judge_chain_events(patterns, kind=found.job.members[0].kind)
    return judge_events(patterns, kind=found.job.kind, once=found.callback.once)


@ROUTES.add("DELETE", "/v1/callbacks/{id}", scope="register", answers={200: Deleted})
async def delete_callback(call: ApiCall) -> web.StreamResponse:
    """Cancel a callback; idempotent."""
    identifier = call.path("id")
    await callbacks.cancel(call.services, call.project, identifier)
    return reply({"id": identifier, "deleted": True})


@ROUTES.add("DELETE", "/v1/callbacks", scope="register", query=CallbackSelection, answers={200: Deleted})
async def delete_callbacks(call: ApiCall) -> web.StreamResponse:
    """Cancel all callbacks of a job or of a URL."""
    values = dict(call.query_pairs())
    for name in ("job_id", "callback_url"):
        if values.get(name) == "":
            raise ValidationFailed(name, "empty: name the one whose callbacks are to be deleted")
    query = call.query(CallbackSelection)
    if (query.job_id is None) == (query.callback_url is None):
        raise ValidationFailed("job_id", "send either job_id or callback_url")
    count = await callbacks.cancel_matching(
        call.services, call.project, job_id=query.job_id, url=query.callback_url
    )
    return reply({"id": query.job_id or query.callback_url, "deleted": True, "count": count})


@ROUTES.add("GET", "/v1/callbacks/{id}/timeline", scope="read", answers={200: TimelineShape}, errors=(404,))
async def get_timeline(call: ApiCall) -> web.StreamResponse:
    """Describe in words what happened to a callback and what comes next."""
    history = await callbacks.history(call.services, call.project, call.path("id"))
    dues = await lists.next_attempts_ms(call.services, history.deliveries)
    waits = await find_waits(call.services, history.deliveries, dues)
    state = callbacks.view_state(history.found)
    url = show_url(call.services.store.vault, history.found.callback)
    return reply(view_timeline(history, url=url, state=state, dues=dues, waits=waits))


@ROUTES.add(
    "POST", "/v1/callbacks/test", scope="register", body=TestBody, lenient=True, answers={200: TestShape}
)
async def test_callback(call: ApiCall) -> web.StreamResponse:
    """Send a signed sample to a URL and report its answer."""
    body = await call.body(TestBody)
    text = body.callback_url or body.webhook_url or body.url
    if text is None:
        raise ValidationFailed("callback_url", "missing: add the URL to be tried")
    url = judge_url(text, call.services.policy)
    if url.inbox:
        raise ValidationFailed(
            "callback_url", "an inbox always takes what comes: use an https:// URL to be tried"
        )
    if body.type not in CATALOGUE.types:
        raise ValidationFailed("type", "not an event type: use one that GET /v1/event-types lists")
    headers = judge_headers(body.headers) if body.headers else None
    if body.secret is not None:
        judge_secret(body.secret)
    call.api.authenticator.take_test(call.project)
    event_id, answer = await send_test(
        call.services,
        call.project,
        url.text,
        type_=body.type,
        payload=body.payload,
        headers=headers,
        signing=[body.secret] if body.secret else (),
    )
    return reply(view_test(event_id, answer))
