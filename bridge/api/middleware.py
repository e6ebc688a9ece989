"""What is common to all requests: authentication, the shape of errors, response headers, counters."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from bridge.api.auth import check_scope, read_key
from bridge.api.requests.bodies import check_query
from bridge.api.requests.content_coding import decode_content, too_large
from bridge.api.responses.json_response import reply, reply_error
from bridge.api.responses.metrics import METHODS
from bridge.api.routing import ANY_SCOPE, API, BODY_LIMIT, Api, ApiCall, Route
from bridge.config.log import get_logger
from bridge.errors import (
    BridgeError,
    MethodNotAllowed,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from bridge.providers.registry import PROVIDERS
from bridge.store.errors import FULL_ERRORS, STORE_ERRORS, StoreNotDurable, explain_outage
from bridge.store.records import UnreadableRecord
from bridge.store.vault import UnknownKeyError, VaultError

BODY_TIMEOUT_S = 30.0
log = get_logger("bridge.api")

Inner = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bind(route: Route, api: Api) -> Inner:
    """Return aiohttp's handler of a route, which authenticates, reads the body and calls the route's handler."""
    scope = None if route.scope == ANY_SCOPE else route.scope

    async def handle(request: web.Request) -> web.StreamResponse:
        check_query(request.rel_url.raw_query_string)
        presented = read_key(request)
        key = await api.authenticator.authenticate(presented, partial(api.forwarding.client, request))
        check_scope(key, scope, presented, by_query=route.by_query)
        content = await _read_body(request, route.body_limit)
        answer: web.StreamResponse = await route.handler(
            ApiCall(request=request, api=api, key=key, presented=presented, content=content)
        )
        return answer

    return handle


async def _read_body(request: web.Request, limit: int) -> bytes:
    """Read the body before anything else is done, so that nothing is held or changed for a slow or broken one."""
    try:
        if request.content.is_eof():  # it has come with the head, as most do
            body = request.content.read_nowait()
            if len(body) > limit:
                raise too_large(limit)
        else:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.clone(client_max_size=limit).read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(limit) from None
    except TimeoutError:
        raise ValidationFailed(
            "body", f"not complete after {BODY_TIMEOUT_S:.0f} seconds: send it again"
        ) from None
    return decode_content(body, request.headers.get("Content-Encoding", ""), limit=limit)


@web.middleware
async def shape_errors(request: web.Request, handler: Inner) -> web.StreamResponse:
    """Turn every exception into an answer of the API's error shape, and count and trace all answers."""
    started_s = time.perf_counter()
    api, route = request.app[API], _template(request)
    method = request.method if request.method in METHODS else "other"
    name = f"{method} {route}"
    with api.services.tracing.span(name, headers=request.headers, method=method, route=route) as note:
        try:
            answer = await handler(request)
        except Exception as error:
            if isinstance(error, ConnectionError) and _has_disconnected(request):
                raise
            answer = answer_error(request, error)
        note(status=answer.status, request_id=answer.headers.get("X-Request-Id"))
    api.metrics.count(route, request.method, answer.status, time.perf_counter() - started_s)
    return answer


def _has_disconnected(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def answer_error(request: web.Request, error: Exception) -> web.Response:
    """Return an error in the API's shape; one that nobody expected is logged and gets a request id."""
    shaped = _shape(request, error)
    if shaped is not None:
        return reply_error(shaped)
    request_id = f"req_{secrets.token_hex(8)}"
    log.error(
        "api.failed", request_id=request_id, method=request.method, path=_template(request), exc_info=error
    )
    message = f"something went wrong on our side; the log knows it as {request_id}"
    details = {"request_id": request_id}
    return reply({"error": {"code": "INTERNAL_ERROR", "message": message, "details": details}}, status=500)


def _shape(request: web.Request, error: Exception) -> BridgeError | None:
    match error:
        case BridgeError():
            return error
        case web.HTTPRequestEntityTooLarge():
            return too_large(BODY_LIMIT)
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return MethodNotAllowed(
                f"{request.method} is not for this path: use {allowed}", headers={"Allow": allowed}
            )
        case web.HTTPNotFound():
            return NotFound(_explain_path(request.rel_url.raw_path))
        case web.HTTPException() if 400 <= error.status < 500:
            return ValidationFailed("", error.reason)
        case web.RequestPayloadError():
            return ValidationFailed("body", "not readable (its length or encoding is wrong): send it again")
        case VaultError() | UnreadableRecord():
            return _name_damage(request, error)
    return _shape_store_error(request, error)


def _shape_store_error(request: web.Request, error: Exception) -> BridgeError | None:
    if isinstance(error, FULL_ERRORS):
        return Unavailable("the store is full: nothing was changed, try again later", retry_after_s=30)
    if isinstance(error, StoreNotDurable):
        return Unavailable("the disk is too slow to confirm the change: repeat it, it is not doubled")
    if isinstance(error, STORE_ERRORS):
        log.warning(
            "api.store_unreachable",
            method=request.method,
            path=_template(request),
            error=type(error).__name__,
            reason=explain_outage(error),
        )
        return Unavailable(f"{explain_outage(error)}: try again in a moment")
    return None


def _explain_path(path: str) -> str:
    if "//" in path:
        return "there is nothing at this path, which has two slashes in a row: remove one"
    if (provider := path[1:].partition("/")[0]) in PROVIDERS:
        return f"there is nothing at this path: calls to the provider go below /{provider}/api/"
    if not path.startswith("/v1/"):
        return "there is nothing at this path: those of the API begin with /v1, see /docs"
    return "there is nothing at this path: see /docs"


def _name_damage(request: web.Request, error: VaultError | UnreadableRecord) -> BridgeError:
    """Name what does not open or cannot be read; only the operator can mend it, and the log tells how."""
    if isinstance(error, UnreadableRecord):  # its load has named it in the log
        return Unavailable(
            "what is stored of this cannot be read: ask the bridge's operator, whose log names the record",
            retry_after_s=60,
            details={"reason": "record_unreadable"},
        )
    log.error("api.not_opened", method=request.method, path=_template(request), reason=str(error))
    if isinstance(error, UnknownKeyError):
        return Unavailable(
            f"this is encrypted with master key {error.key_id}, which the bridge does not have any more: ask its operator"
            " to add that key to REELBRIDGE_MASTER_KEYS again",
            retry_after_s=60,
            details={"reason": "master_key_missing", "master_key": error.key_id},
        )
    return Unavailable(
        "what is stored of this is damaged and cannot be decrypted: ask the bridge's operator to restore a backup",
        retry_after_s=60,
        details={"reason": "sealed_value_damaged"},
    )


def _template(request: web.Request) -> str:
    """Return the route's path pattern, for logs and metrics, where ids and queries must not appear."""
    resource = request.match_info.route.resource
    return (resource.canonical.rstrip("/") or "/") if resource is not None else "(none)"


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Forbid caching, content sniffing and referrers, and name no software."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.pop("Server", None)
