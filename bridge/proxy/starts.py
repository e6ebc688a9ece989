"""Calls that begin work and name a callback URL or have a key: written down, sent once, registered from their answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from aiohttp import web
from msgspec import Struct

from bridge.config.log import get_logger
from bridge.domain.jobs.watches import is_watch
from bridge.domain.starts.records import Fingerprint, StartedJob
from bridge.errors import BridgeError
from bridge.http.client.client_errors import BodyError
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import Field
from bridge.providers.start_spec import StartSpec, name_subject, read_started
from bridge.proxy.forward import list_answer_fields
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError
from bridge.proxy.repeats import reply_to_repeat
from bridge.proxy.start_answer import (
    Meaning,
    StartReply,
    judge_answer,
    list_status_fields,
    read_json,
    write_whole,
)
from bridge.services.context import Services
from bridge.services.jobs.registration import release_holds
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.starts.before import add_baseline
from bridge.services.starts.conclude import Finished
from bridge.services.starts.guard import (
    Intent,
    Known,
    Ticket,
    begin,
    doubt,
    finish,
    note_started,
    plan_ticket,
    release,
)
from bridge.services.starts.repeat import WAIT_S, await_outcome
from bridge.services.starts.sealing import StartAnswer
from bridge.store.errors import STORE_ERRORS, StoreFull, StoreNotDurable, WriteConflict
from bridge.store.records import UnreadableRecord
from bridge.store.tables.accounts import Account
from bridge.store.vault import VaultError

ANSWER_BYTES = 4 * 1024 * 1024
ANSWER_S = 120.0  # for the body, once the head has come
CLOSE_S = 10.0  # for which a shutdown waits for the calls that are under way
LATER_S = 240.0  # less than LONGEST_CALL_MS, after which the sweep no longer waits for this process
FIRST_PAUSE_S = 0.25
MOST_PAUSE_S = 5.0
WRITE_ERRORS = (*STORE_ERRORS, StoreFull, StoreNotDurable, WriteConflict, UnreadableRecord, VaultError)
T = TypeVar("T")
log = get_logger("bridge.proxy")

Send = Callable[[ProxyCall, bytes], Coroutine[Any, Any, HttpResponse]]


class StartCall(Struct, frozen=True, kw_only=True):
    """A call that begins work: which, what it says, and the body that is sent on.

    `webhook` is what it wants registered, or a watch, `key` its Idempotency-Key; it has one of them. `fingerprint` is that of the call
    as it came.
    """

    spec: StartSpec
    request: Mapping[str, Any]
    webhook: RegisterCallback | None
    body: bytes
    key: str | None
    fingerprint: Fingerprint


class StartedCalls:
    """Sends calls that begin work, each in a task of the process: it ends although its client has gone."""

    def __init__(self, services: Services, send: Send) -> None:
        """Take what sends a call with its body."""
        self._services = services
        self._send_once = send
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Wait for the calls that are under way; what is left then is found by the sweep of a worker."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def answer(self, request: web.BaseRequest, call: ProxyCall, start: StartCall) -> web.StreamResponse:
        """Make the call, or find the answer to it, and write that; first deliveries wait until that is done."""
        reply = await self._reply(call, start)
        try:
            return await write_whole(request, reply)
        finally:
            release_holds(self._services, reply.registered)

    async def _reply(self, call: ProxyCall, start: StartCall) -> StartReply:
        """Return the answer to a call: the provider's, or the kept one of the call with its key."""
        until = asyncio.get_running_loop().time() + WAIT_S
        while True:
            task = self._keep(self._run(call, start))
            try:
                made = await asyncio.shield(task)
            except asyncio.CancelledError:  # the client has gone: no answer has to come before the delivery
                task.add_done_callback(self._release)
                raise
            if isinstance(made, StartReply):
                return made
            known = await await_outcome(self._services, made, start.fingerprint, until=until)
            if known is not None:  # else the first call began nothing, so that this one may
                return reply_to_repeat(self._services, call, known, start.fingerprint)

    async def send(self, call: ProxyCall, body: bytes) -> HttpResponse:
        """Return the provider's answer to a call of which nothing is written down."""
        sending = self._keep(self._send_once(call, body))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.add_done_callback(_close_response)
            raise

    def note(self, account: Account, jobs: Sequence[StartedJob]) -> None:
        """Note what such a call began."""
        self._keep(self._write(partial(note_started, self._services, account, jobs)))

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Return a task that goes on whatever becomes of the request."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:  # its client may have gone
            log.info("proxy.start_failed", error=type(error).__name__)

    def _release(self, task: asyncio.Task[StartReply | Known]) -> None:
        if task.cancelled() or task.exception() is not None:
            return
        made = task.result()
        if isinstance(made, StartReply):
            release_holds(self._services, made.registered)

    async def _run(self, call: ProxyCall, start: StartCall) -> StartReply | Known:
        """Write the call down, send it once, and write down what became of it; send nothing under a key that is known."""
        intent = _plan_intent(call, start)
        ticket = plan_ticket(self._services, intent)
        try:
            intent = await add_baseline(self._services, intent, ticket)
            begun = await begin(self._services, intent, ticket)
        except Exception:
            self._keep(self._write_later(partial(release, self._services, ticket)))
            raise
        if isinstance(begun, Known):
            return begun
        try:
            response = await self._send_once(call, start.body)
            body = await _read_whole(response)
        except BridgeError as error:
            if not isinstance(error, ProxyError) or not error.was_sent:
                await self._write(partial(release, self._services, ticket))
                raise
            await self._write(partial(doubt, self._services, ticket))
            raise _unknown(start) from error
        fields = tuple(list_answer_fields(call, response))
        finished = await self._conclude(start, ticket, response.status, fields, body)
        told = (
            list_status_fields(finished, watched=is_watch(start.webhook.url.origin)) if start.webhook else []
        )
        return StartReply(
            status=response.status,
            reason=response.reason,
            fields=(*fields, *told),
            body=body,
            registered=finished.registered,
        )

    async def _conclude(
        self, start: StartCall, ticket: Ticket, status: int, fields: tuple[Field, ...], body: bytes
    ) -> Finished:
        """Write down what an answer means, and register what it began.

        Whatever fails here, the client gets the provider's answer.
        """
        services = self._services
        match judge_answer(status, fields):
            case Meaning.REFUSED:
                await self._write(partial(release, services, ticket))
                return Finished(reason="refused")
            case Meaning.UNCLEAR:
                await self._write(partial(doubt, services, ticket))
                return Finished(pending=True)
        jobs = read_started(start.spec, start.request, read_json(body, fields))
        late = start.spec.late and not jobs
        answer = StartAnswer(status, fields, body)
        finished = await self._write(partial(finish, services, ticket, answer, jobs, late=late))
        return Finished(pending=True) if finished is None else finished

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T | None:
        """Write an outcome down and return what came of it, None if it cannot be done now; it is then done later."""
        try:
            return await write()
        except WRITE_ERRORS as error:
            log.warning("proxy.start_not_written", error=type(error).__name__)
            self._keep(self._write_later(write))
            return None

    async def _write_later(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write an outcome down as soon as the store takes it; after LATER_S the sweep finds it out by itself."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        until = loop.time() + LATER_S
        while loop.time() < until:
            await asyncio.sleep(pause_s)
            pause_s = min(MOST_PAUSE_S, pause_s * 2)
            try:
                await write()
            except WRITE_ERRORS as error:
                log.info("proxy.start_not_written", error=type(error).__name__)
            else:
                return


def _plan_intent(call: ProxyCall, start: StartCall) -> Intent:
    spec, request = start.spec, start.request
    return Intent(
        account=call.caller.account,
        rule=spec.name,
        fingerprint=start.fingerprint,
        key=start.key,
        persona=name_subject(request, spec.persona_field),
        source=name_subject(request, spec.source_field),
        subject=name_subject(request, spec.about_field or spec.request_field),
        webhook=start.webhook,
    )


def _close_response(sending: asyncio.Task[HttpResponse]) -> None:
    """Close the connection of an answer that nobody waits for any more."""
    if not sending.cancelled() and sending.exception() is None:
        sending.result().close()


async def _read_whole(response: HttpResponse) -> bytes:
    """Return an answer's body; raise ProxyError where it does not come whole: the call may have been done."""
    body = bytearray()
    try:
        async with asyncio.timeout(ANSWER_S):
            while len(body) <= ANSWER_BYTES and (piece := await response.body.read()):
                body += piece
    except (BodyError, TimeoutError):
        response.close()
        raise _lost() from None
    if len(body) > ANSWER_BYTES:
        response.close()
        raise _lost()
    response.release()
    return bytes(body)


def _lost() -> ProxyError:
    return ProxyError(
        "upstream_unreachable",
        "the provider's answer broke off",
        status=502,
        code="SERVICE_UNAVAILABLE",
        was_sent=True,
    )


def _unknown(start: StartCall) -> ProxyError:
    return ProxyError(
        "start_unknown",
        "the provider's answer was lost, so that this may have been done: look before it is repeated"
        if start.key is None
        else "the provider's answer was lost, so that this may have been done: repeat it with the same key to learn that",
        status=504,
        code="START_UNKNOWN",
        headers={"Retry-After": "5"} | ({} if start.webhook is None else {"X-Webhook-Status": "pending"}),
    )
