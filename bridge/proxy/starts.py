"""Calls that begin work and name a callback URL: written down, sent once, registered from their answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from msgspec import Struct

from bridge.config.log import get_logger
from bridge.domain.starts.records import Fingerprint
from bridge.errors import BridgeError
from bridge.http.client.client_errors import BodyError
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import Field
from bridge.providers.start_spec import StartSpec, name_subject, read_started
from bridge.proxy.header_fields import list_response_fields
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError
from bridge.proxy.start_answer import list_status_fields, read_json, refusal_field, write_whole
from bridge.proxy.target import prefix_of
from bridge.services.context import Services
from bridge.services.jobs.registration import release_holds
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.starts.conclude import Finished
from bridge.services.starts.guard import Intent, Ticket, begin, doubt, finish, release
from bridge.services.starts.sealing import StartAnswer
from bridge.store.errors import STORE_ERRORS

ANSWER_BYTES = 4 * 1024 * 1024
ANSWER_S = 120.0  # for the body, once the head has come
CLOSE_S = 10.0  # for which a shutdown waits for the calls that are under way
log = get_logger("bridge.proxy")

Send = Callable[[ProxyCall, bytes], Awaitable[HttpResponse]]


class StartCall(Struct, frozen=True, kw_only=True):
    """A call that begins work: which, what it says, where its callback goes, and the body that is sent on."""

    spec: StartSpec
    request: Mapping[str, Any]
    webhook: RegisterCallback
    body: bytes


class StartReply(Struct, frozen=True, kw_only=True):
    """What a client gets, and the callbacks whose deliveries wait until it has got it."""

    status: int
    reason: bytes
    fields: tuple[Field, ...]
    body: bytes
    registered: tuple[str, ...] = ()


class StartedCalls:
    """Sends calls that begin work, each in a task of the process: it ends although its client has gone."""

    def __init__(self, services: Services, send: Send) -> None:
        """Take what sends a call with its body."""
        self._services = services
        self._send_once = send
        self._tasks: set[asyncio.Task[StartReply]] = set()

    async def close(self) -> None:
        """Wait for the calls that are under way; what is left then is found by the sweep of a worker."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def answer(self, request: web.BaseRequest, call: ProxyCall, start: StartCall) -> web.StreamResponse:
        """Make the call and write its answer; first deliveries wait until that is done."""
        task = asyncio.create_task(self._run(call, start))
        self._tasks.add(task)
        task.add_done_callback(self._end)
        reply = await asyncio.shield(task)
        answer = await write_whole(request, reply.status, reply.reason, reply.fields, reply.body)
        release_holds(self._services, reply.registered)
        return answer

    def _end(self, task: asyncio.Task[StartReply]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # its client may have gone
            log.info("proxy.start_failed", error=type(error).__name__)

    async def _run(self, call: ProxyCall, start: StartCall) -> StartReply:
        """Write the call down, send it once, and write down what became of it."""
        ticket = await begin(self._services, _plan_intent(call, start))
        assert isinstance(ticket, Ticket), "a call without an Idempotency-Key repeats none"
        try:
            response = await self._send_once(call, start.body)
            body = await _read_whole(response)
        except ProxyError as error:
            if not error.was_sent:
                await self._note(release(self._services, ticket))
                raise
            await self._note(doubt(self._services, ticket))
            raise _unknown() from error
        except BridgeError:
            await self._note(release(self._services, ticket))
            raise
        fields = tuple(_list_fields(call, response))
        status = await self._conclude(start, ticket, response.status, fields, body)
        told = [refusal_field("refused")] if status is None else list_status_fields(status)
        return StartReply(
            status=response.status,
            reason=response.reason,
            fields=(*fields, *told),
            body=body,
            registered=() if status is None else status.registered,
        )

    async def _conclude(
        self, start: StartCall, ticket: Ticket, status: int, fields: tuple[Field, ...], body: bytes
    ) -> Finished | None:
        """Register what an answer began; return None where the provider refused.

        Whatever fails here, the client gets the provider's answer, and the sweep goes on with what is on disk.
        """
        if 300 <= status < 500:
            await self._note(release(self._services, ticket))
            return None
        if status >= 500:  # the charge may precede the failure
            await self._note(doubt(self._services, ticket))
            return Finished(pending=True)
        jobs = read_started(start.spec, start.request, read_json(body, fields))
        answer = StartAnswer(status, fields, body)
        try:
            late = start.spec.late and not jobs
            return await finish(self._services, ticket, answer, jobs, late=late)
        except (*STORE_ERRORS, BridgeError) as error:
            log.warning("proxy.start_not_registered", rule=start.spec.name, error=type(error).__name__)
            return Finished(pending=True)

    async def _note(self, writing: Any) -> None:
        """Write down an outcome; without a store the sweep finds it out later."""
        try:
            await writing
        except STORE_ERRORS as error:
            log.warning("proxy.start_not_noted", error=type(error).__name__)


def _plan_intent(call: ProxyCall, start: StartCall) -> Intent:
    spec, request = start.spec, start.request
    return Intent(
        account=call.caller.account,
        rule=spec.name,
        fingerprint=Fingerprint(call.method, _hash(call.target.encode()), _hash(start.body)),
        persona=name_subject(request, spec.persona_field),
        source=name_subject(request, spec.source_field),
        subject=name_subject(request, spec.request_field),
        webhook=start.webhook,
    )


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


async def _read_whole(response: HttpResponse) -> bytes:
    """Return an answer's body; raise ProxyError where it does not come whole: the call may have been done."""
    body = bytearray()
    try:
        async with asyncio.timeout(ANSWER_S):
            while len(body) <= ANSWER_BYTES and (piece := await response.body.read()):
                body += piece
    except (BodyError, TimeoutError):
        response.close()
        raise _unknown() from None
    if len(body) > ANSWER_BYTES:
        response.close()
        raise _unknown()
    response.release()
    return bytes(body)


def _unknown() -> ProxyError:
    return ProxyError(
        "start_unknown",
        "the provider's answer was lost, so that this may have been done: look before it is repeated",
        status=504,
        code="START_UNKNOWN",
        headers={"Retry-After": "5", "X-Webhook-Status": "pending"},
        was_sent=True,
    )


def _list_fields(call: ProxyCall, response: HttpResponse) -> list[Field]:
    return list_response_fields(
        response.fields,
        base_url=call.caller.login.base_url.encode(),
        prefix=prefix_of(call.provider).encode(),
    )
