"""Handle a proxied request: admit it, send it on, and pass the answer back as it comes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from aiohttp import web

from bridge.api.routing import Api
from bridge.api.server import Handler, HttpConnection
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.upload import Upload
from bridge.http.forwarder import Forwarder
from bridge.providers.registry import PROVIDERS
from bridge.proxy.admission import Admission
from bridge.proxy.answer_copy import AnswerCopies, AnswerCopy
from bridge.proxy.answer_writer import must_close, write_answer
from bridge.proxy.forward import forward, list_answer_fields
from bridge.proxy.interception import is_start, is_watched, read_body, read_request, read_start
from bridge.proxy.places import Places
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import Busy, answer_error
from bridge.proxy.request_body import is_streamed, open_body
from bridge.proxy.start_answer import refusal_field
from bridge.proxy.starts import StartedCalls
from bridge.proxy.target import find_provider
from bridge.proxy.unguarded import copy_answer
from bridge.proxy.webhook_options import names_url
from bridge.services.accounts.client_requests import ClientRequests
from bridge.services.passing.passed_answers import PassedAnswers

WAIT_S = 10.0


class Proxy:
    """The handler of all requests behind the providers' prefixes.

    A request waits for its answer's head in a place of its provider's: 64 of a project, 96 in all; calls that begin work
    have as many of their own. A body that does not come whole with its head is a stream, and has a place among the
    streams: 200 of a project, 250 in all.
    """

    def __init__(self, api: Api, forwarder: Forwarder, requests: ClientRequests) -> None:
        self._metrics = api.metrics
        self._note_refusal = api.authenticator.note_refusal
        self._requests = requests
        self._admission = Admission(api)
        self._forwarder = forwarder
        self._waiting = {provider: Places(96, share=2) for provider in PROVIDERS}
        self._starting = Places(96, share=2)
        self._streams = Places(250, share=4)
        self._services = api.services
        self._starts = StartedCalls(api.services, self._send_start)
        self._copies = AnswerCopies(PassedAnswers(api.services), api.services.clock_ms)

    def before(self, handler: Handler) -> Handler:
        """Return a handler of all requests: what is proxied is answered here, all else by `handler`."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            provider = find_provider(request.raw_path)
            if provider is None:
                return await handler(request)
            return await self._handle(request, provider)

        return handle

    async def _handle(self, request: web.BaseRequest, provider: str) -> web.StreamResponse:
        """Answer a request; an error of ours has the provider's shape and says that it is ours."""
        try:
            answer: web.StreamResponse = await self._pass(request)
        except Exception as error:
            if isinstance(error, ConnectionError) or request.writer.output_size > 0:
                raise ConnectionError(str(error)) from error
            answer = answer_error(provider, error)
            if must_close(request):
                answer.force_close()
            self._metrics.count_proxied(provider, answer.status, by="bridge")
        else:
            self._metrics.count_proxied(provider, answer.status, by="provider")
        return answer

    async def close(self) -> None:
        """Wait a while for the calls that began work and are under way, and use what answers showed."""
        await self._starts.close()
        await self._copies.close()

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        call = await self._admission.admit(request)
        if is_start(call):
            return await self._pass_start(request, call)
        return await self._pass_on(request, call)

    async def _pass_start(self, request: web.BaseRequest, call: ProxyCall) -> web.StreamResponse:
        """Send on a call that begins work; if it names a callback URL, or an endpoint asks for it, what it begins is watched."""
        with _cancelled_when_lost(request):
            body = await read_body(await self._open(request), within_s=self._forwarder.stall_s)
            watch = await is_watched(self._services, call)
            call, start = read_start(call, body, self._services.policy, watch=watch)
            if start is not None:
                return await self._starts.answer(request, call, start)
            response = await self._starts.send(call, body)
        spec, wanted = read_request(call, body)
        copy = copy_answer(
            spec,
            wanted,
            response,
            note=lambda jobs: self._starts.note(call.caller.account, jobs),
            beside=self._copies.begin(call, response),
        )
        return await self._pass_back(request, call, response, copy)

    async def _pass_on(self, request: web.BaseRequest, call: ProxyCall) -> web.StreamResponse:
        if not is_streamed(request):
            response = await self._ask(request, call, await self._open(request))
            return await self._pass_back(request, call, response, self._copies.begin(call, response))
        with self._stream(call):
            with _cancelled_when_lost(request):
                response = await self._send(call, await self._open(request))
            return await self._write_back(request, call, response, self._copies.begin(call, response))

    @contextmanager
    def _stream(self, call: ProxyCall) -> Iterator[None]:
        """Hold a place among the streams for a block; raise Busy if there is none."""
        project = call.caller.project
        if not self._streams.take(project):
            raise Busy("too many bodies are under way")
        try:
            yield
        finally:
            self._streams.give_back(project)

    async def _ask(self, request: web.BaseRequest, call: ProxyCall, body: bytes | Upload) -> HttpResponse:
        """Send a request whose body is at hand, when its turn has come."""
        project, places = call.caller.project, self._waiting[call.provider]
        with _cancelled_when_lost(request):
            if not await places.wait(project, within_s=WAIT_S):
                raise Busy("too many requests wait for the provider")
            try:
                return await self._send(call, body)
            finally:
                places.give_back(project)

    async def _send_start(self, call: ProxyCall, body: bytes) -> HttpResponse:
        """Send a call that begins work, when its turn has come; calls that wait for other answers never delay it."""
        project = call.caller.project
        if not await self._starting.wait(project, within_s=WAIT_S):
            raise Busy("too many calls that begin work are under way")
        try:
            return await self._send(call, body)
        finally:
            self._starting.give_back(project)

    async def _send(self, call: ProxyCall, body: bytes | Upload) -> HttpResponse:
        """Send a request, count it against the account's budget, and report what the answer says of the limit."""
        account, login, bucket = call.caller.account, call.caller.login, None
        if call.caller.has_account:
            bucket = self._requests.count(account.id, account.version, login, call.path)
        response = await forward(self._forwarder, call, body)
        if response.status == 401 and call.caller.key:
            self._note_refusal(call.caller.key)
        if bucket is not None:
            self._requests.report(bucket, response.status, response.headers)
        return response

    async def _open(self, request: web.BaseRequest) -> bytes | Upload:
        return await open_body(request, stall_s=self._forwarder.stall_s, answer_s=self._forwarder.head_s)

    async def _pass_back(
        self, request: web.BaseRequest, call: ProxyCall, response: HttpResponse, copy: AnswerCopy | None
    ) -> web.StreamResponse:
        """Pass an answer back; where its body has not come yet, in a place among the streams."""
        if response.is_complete:
            return await self._write_back(request, call, response, copy)
        try:
            with self._stream(call):
                return await self._write_back(request, call, response, copy)
        except Busy:
            response.close()
            raise

    async def _write_back(
        self, request: web.BaseRequest, call: ProxyCall, response: HttpResponse, copy: AnswerCopy | None
    ) -> web.StreamResponse:
        fields = list_answer_fields(call, response)
        if call.is_intercepted and names_url(call.fields, call.target) and not is_start(call):
            fields.append(refusal_field("not_a_start"))
        with _cancelled_when_lost(request):
            return await write_answer(
                request,
                response,
                fields,
                stall_s=self._forwarder.stall_s,
                copy=copy,
            )


def _cancelled_when_lost(request: web.BaseRequest) -> AbstractContextManager[None]:
    """Return a block that is cancelled when the client goes away, so that the provider works for nobody."""
    connection = request.protocol
    assert isinstance(connection, HttpConnection), "the server makes no others"
    return connection.cancelling_when_lost()
