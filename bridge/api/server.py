"""The listening socket, with limits on time and size for a connection that has not sent a whole request yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from bridge.api.responses.json_response import reply, reply_error
from bridge.config.log import get_logger
from bridge.config.settings import Settings
from bridge.errors import NotFound, PayloadTooLarge, ValidationFailed

HEAD_TIMEOUT_S = 15.0  # a connection whose first request is not complete by then is closed
KEEPALIVE_S = 75.0
LINE_BYTES = 16 * 1024  # a callback URL of 4,096 characters, percent-encoded, fits in a query
FIELD_BYTES = LINE_BYTES
FIELDS = 100
PATH_PARTS = 100  # aiohttp looks for a route behind each slash, in time quadratic to their number
HEAD_TOO_LARGE = (
    f"the request's first line and each header may have {LINE_BYTES:,} bytes, and there may be {FIELDS} headers:"
    " send less in them, and long values in the body"
)
BACKLOG = 1024
log = get_logger("bridge.api")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpConnection(RequestHandler):
    """An aiohttp connection with a deadline for its first request, and with errors in the API's shape."""

    __slots__ = ("_deadline", "_head_timeout_s", "_when_lost")

    def __init__(self, manager: web.Server, *, head_timeout_s: float, **options: Any) -> None:
        """Take aiohttp's server, and the seconds that the head of the first request may take."""
        super().__init__(manager, **options)
        self._head_timeout_s = head_timeout_s
        self._deadline: asyncio.TimerHandle | None = None
        self._when_lost: Callable[[], object] | None = None

    def cancelling_when_lost(self) -> AbstractContextManager[None]:
        """Cancel the current task if the client goes away during the block."""
        task = asyncio.current_task()
        assert task is not None
        return self.telling_when_lost(task.cancel)

    @contextmanager
    def telling_when_lost(self, tell: Callable[[], object]) -> Iterator[None]:
        """Call a function if the client goes away during the block."""
        self._when_lost = tell
        try:
            yield
        finally:
            self._when_lost = None

    async def wait_until_taken(self, stall_s: float) -> None:
        """Wait until the client has taken most of what was written; raise TimeoutError if it takes nothing for so long."""
        if self.transport is None or not self.writing_paused:
            return
        taken = asyncio.ensure_future(self._drain_helper())
        try:
            left = self.transport.get_write_buffer_size()
            while not (await asyncio.wait((taken,), timeout=stall_s))[0]:
                before, left = left, self.transport.get_write_buffer_size()
                if left >= before:
                    raise TimeoutError
            await taken
        finally:
            taken.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline for the first request."""
        super().connection_made(transport)
        self._deadline = self._loop.call_later(self._head_timeout_s, self._close_if_silent)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; a body whose chunks are malformed fails at once for whoever reads it."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._fail_body()

    def _fail_body(self) -> None:
        """Fail the body in which no more could be read: aiohttp only queues the error, as if it were a request."""
        if len(self._messages) > 1:
            body = self._messages[-2][1]
        elif self._current_request is not None:
            body = self._current_request.content
        else:
            return
        if not body.is_eof():
            body.set_exception(web.RequestPayloadError("malformed"))
            body.feed_eof()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        if self._when_lost is not None:
            self._when_lost()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        self._deadline = None
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 -- aiohttp's signature; it is 400 for whatever could not be read
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- aiohttp's signature; it may quote the request
    ) -> web.StreamResponse:
        """Answer what is no request (a malformed line, a head too large) with a JSON error, then close."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client is gone
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        if _is_too_large(exc):
            answer = reply(PayloadTooLarge(HEAD_TOO_LARGE).body, status=431)
        else:
            answer = reply_error(ValidationFailed("", "no readable HTTP request"))
        log.info("api.bad_request", status=answer.status, error=type(exc).__name__)
        answer.force_close()
        return answer


def _is_too_large(error: BaseException | None) -> bool:
    return isinstance(error, LineTooLong) or (
        isinstance(error, BadHttpMessage) and error.message.startswith("Too many headers")
    )


def _refuse_deep_paths(handler: Handler) -> Handler:
    """Return a request handler that answers 404 to a path with too many parts before it is looked up."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path.count("/") > PATH_PARTS:
            return reply_error(NotFound("there is nothing at this path: see /docs"))
        return await handler(request)

    return handle


def _close_behind_chunks(handler: Handler) -> Handler:
    """Return a request handler that ends the connection behind a body in chunks.

    aiohttp's parser takes the last trailer of such a body for a header of the next request, which may be another
    client's where a reverse proxy shares its connections.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        answer = await handler(request)
        if "Transfer-Encoding" in request.headers:
            answer.force_close()
        return answer

    return handle


@asynccontextmanager
async def listening(
    runner: web.AppRunner,
    settings: Settings,
    *,
    head_timeout_s: float = HEAD_TIMEOUT_S,
    front: Callable[[Handler], Handler] = lambda handler: handler,
) -> AsyncIterator[int]:
    """Accept connections for a runner that is set up; yields the port.

    `front` returns the handler that sees every request first; it hands on what it does not answer itself.
    """
    loop = asyncio.get_running_loop()
    assert runner.server is not None, "runner.setup() comes first"
    manager = runner.server
    manager.request_handler = _close_behind_chunks(front(_refuse_deep_paths(manager.request_handler)))

    def make() -> HttpConnection:
        return HttpConnection(
            manager,
            head_timeout_s=head_timeout_s,
            loop=loop,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            max_line_size=LINE_BYTES,
            max_field_size=FIELD_BYTES,
            max_headers=FIELDS,
            auto_decompress=False,  # see `requests.content_coding`
        )

    server = await loop.create_server(make, settings.host.strip("[]"), settings.port, backlog=BACKLOG)
    try:
        port = int(server.sockets[0].getsockname()[1])
        log.info("api.ready", host=settings.host, port=port)
        yield port
    finally:
        server.close()
