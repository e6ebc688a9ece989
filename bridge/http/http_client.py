"""An HTTP client for one request and its response, on top of aiohttp's connections and parser.

aiohttp's `ClientSession` spends more time on a request than its connections, its parser and the kernel together: on
redirects, cookies, proxies, tracing and kinds of bodies that neither receivers nor upstreams are meant to see. So
requests are written here, while aiohttp's connector opens, keeps and closes the connections.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import ceil, inf
from typing import NamedTuple, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge.http.http_protocol import HttpProtocol
from bridge.http.keep_alive import KeepAlive
from bridge.http.response_head import MAX_INFORMATIONAL, SWITCHING, HeadError, is_final
from bridge.http.tracebacks import forget_frames

ORIGIN_CACHE_SIZE = 1024
LARGE_BYTES = 16 * 1024
# Time limits are rounded up to steps, so that requests share the objects that hold them.
TIMEOUT_STEPS_PER_SECOND = 10
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # would end a header, or hide in it


class UnansweredError(TimeoutError):
    """The whole request was sent, and no answer came in time."""


class NotHttpError(aiohttp.ClientError):
    """What came back is not HTTP, its head is too large, or too many heads came."""


class _Head(NamedTuple):
    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    flaw: str


class HttpResponse:
    """A response whose head has arrived; `content` is its body. The caller ends it with `release` or `close`.

    `flaw`: what is wrong with it behind its status, in words, or ""; then `content` is empty and the connection is not
    kept.
    """

    __slots__ = ("_connection", "_idle_s", "_keep_alive", "content", "flaw", "headers", "status")

    def __init__(self, connection: Connection, head: _Head, keep_alive: KeepAlive, *, is_last: bool) -> None:
        self._connection = connection
        self._keep_alive = keep_alive
        self.status, self.headers, self.content, self.flaw = head
        self._idle_s = 0.0 if is_last or self.flaw else keep_alive.limit_s(self.headers)

    @property
    def is_complete(self) -> bool:
        """Return whether the whole body has arrived, so that reading it waits for nothing."""
        return self.content.is_eof()

    def release(self) -> None:
        """Keep the connection for a while, if another request may follow and this one was sent whole."""
        connection = self._connection
        protocol, transport = connection.protocol, connection.transport
        unsent = transport is not None and transport.get_write_buffer_size()
        if self._idle_s and not unsent and isinstance(protocol, HttpProtocol):
            protocol.set_idle(self._keep_alive, at_most_s=self._idle_s)
            connection.release()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        _discard(self._connection)


class _OriginRequest(aiohttp.ClientRequest):
    """A request that stands for all requests to one origin; the connector's key for it is computed only once."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        return super().connection_key


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all requests to one origin share: the request that the connector sees, their headers, the idle limit."""

    request: _OriginRequest
    head: str
    names: frozenset[str]
    keep_alive: KeepAlive


class HttpClient:
    """Sends requests through one connector; `close` it at the end. `headers` go with every request."""

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        *,
        headers: Mapping[str, str],
        connect_s: float = inf,
        decompress: bool = False,
        read_bufsize: int,
        max_headers: int,
    ) -> None:
        self.connector = connector
        self._loop = asyncio.get_running_loop()
        # aiohttp offers no other way to use a protocol of one's own; its version is pinned.
        make_protocol = cast("partial[ResponseHandler]", partial(HttpProtocol, loop=self._loop))
        connector._factory = make_protocol  # noqa: SLF001 -- see above
        self._headers = headers
        self._connect_s = connect_s
        self._decompress = decompress
        self._read_bufsize = read_bufsize
        self._max_headers = max_headers
        self._origin = lru_cache(maxsize=ORIGIN_CACHE_SIZE)(self._prepare)

    async def close(self) -> None:
        """Close every connection."""
        await self.connector.close()

    async def get(
        self, origin: str, target: str, headers: Mapping[str, str], *, until: float
    ) -> HttpResponse:
        """Send a GET; if a kept connection closes under the request, send it once more, since a read may be repeated.

        `origin` is `https://host:port`, `target` the path and query, `until` a time of the event loop's clock.
        """
        known = self._origin(origin)
        request = _format_request("GET", known, target, headers, b"")
        try:
            return await self._send(known, request, until)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await self._send(known, request, until)

    async def post(
        self, origin: str, target: str, headers: Mapping[str, str], body: bytes, *, until: float
    ) -> HttpResponse:
        """Send a POST, which is never repeated; otherwise like `get`."""
        known = self._origin(origin)
        own = {**headers, "content-length": str(len(body))}
        return await self._send(known, _format_request("POST", known, target, own, body), until)

    async def _send(self, origin: _Origin, request: bytes, until: float) -> HttpResponse:
        try:
            return await self._send_once(origin, request, until)
        except Exception as error:
            forget_frames(error)
            raise

    async def _send_once(self, origin: _Origin, request: bytes, until: float) -> HttpResponse:
        connection, protocol = await self._connect(origin.request, until)
        try:
            head = await self._exchange(protocol, request, until)
        except BaseException:
            _discard(connection)
            raise
        # A peer that refuses a large request may have left part of it unread, in the buffers of TLS and the kernel.
        refused = len(request) > LARGE_BYTES and not 200 <= head.status < 300
        return HttpResponse(connection, head, origin.keep_alive, is_last=refused or head.status == SWITCHING)

    async def _connect(self, origin_request: _OriginRequest, until: float) -> tuple[Connection, HttpProtocol]:
        """Open a connection, or take a kept one on which nothing has arrived since."""
        left_s = min(until - self._loop.time(), self._connect_s)
        timeout = _connect_within(max(ceil(left_s * TIMEOUT_STEPS_PER_SECOND), 1))
        while True:
            try:
                connection = await self.connector.connect(origin_request, [], timeout)
            except TimeoutError as late:
                raise aiohttp.ConnectionTimeoutError from late
            protocol = connection.protocol
            assert isinstance(protocol, HttpProtocol), "the connector makes no others"
            if not protocol.is_unusable:
                return connection, protocol
            connection.close()

    async def _exchange(self, protocol: HttpProtocol, request: bytes, until: float) -> _Head:
        if not protocol.is_connected():
            raise aiohttp.ServerDisconnectedError
        if (
            self._loop.time() >= until
        ):  # connecting took all of the time: a request sent now could not be answered in time
            raise aiohttp.ConnectionTimeoutError
        assert protocol.transport is not None, "it is connected"
        protocol.expect_response(
            decompress=self._decompress, read_bufsize=self._read_bufsize, max_headers=self._max_headers
        )
        # Written whole and not waited for: it is in memory anyway, and a response may come before all of it is sent.
        transport = protocol.transport
        transport.write(request)
        # Cheaper than a timeout around the wait, which would cancel and catch: many are set and nearly none expires.
        late = self._loop.call_at(until, protocol.set_exception, TimeoutError())
        try:
            return await _read_head(protocol)
        except TimeoutError as error:
            if not transport.get_write_buffer_size():
                raise UnansweredError from error
            raise
        finally:
            late.cancel()

    def _prepare(self, origin: str) -> _Origin:
        origin_request = _OriginRequest(
            "GET", URL(origin, encoded=True), headers=self._headers, loop=self._loop
        )
        names = frozenset(name.lower() for name in origin_request.headers)
        keep_alive = KeepAlive(tls=origin.startswith("https:"))
        return _Origin(origin_request, _format_headers(origin_request.headers), names, keep_alive)


def _format_request(
    method: str, known: _Origin, target: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    if " " in target or _FORBIDDEN.search("".join([target, *headers, *headers.values()])):
        raise ValueError("a blank or a control character in a request's head")
    if known.names.isdisjoint([name.lower() for name in headers]):
        head = known.head + _format_headers(headers)
    else:
        head = _format_headers(_overlay(known.request.headers, headers))
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body


@lru_cache(maxsize=ORIGIN_CACHE_SIZE)
def _connect_within(steps: int) -> aiohttp.ClientTimeout:
    """Return the time limit for a new connection; without `ceil_threshold` the connector would round long ones up."""
    return aiohttp.ClientTimeout(total=None, connect=steps / TIMEOUT_STEPS_PER_SECOND, ceil_threshold=inf)


async def _read_head(protocol: HttpProtocol) -> _Head:
    """Return the final response's head and body, skipping informational responses.

    A peer whose final status has arrived has read the request, whatever becomes of the rest of its response.
    """
    try:
        for _ in range(MAX_INFORMATIONAL + 1):
            message, content = await protocol.read()
            if is_final(message.code):
                return _Head(message.code, message.headers, content, "")
    except Exception as error:
        begun = protocol.read_begun_head()
        if begun is not None:
            return _Head(*begun, aiohttp.EMPTY_PAYLOAD, _explain_flaw(error))
        if isinstance(error, HttpProcessingError):
            raise NotHttpError from error
        raise
    raise NotHttpError


def _explain_flaw(error: Exception) -> str:
    match error:
        case HeadError():
            return "its headers are larger than 64 KB"
        case HttpProcessingError():
            return "its body is malformed or goes on behind its end"
        case TimeoutError():
            return "its headers did not end in time"
        case _:
            return "its headers broke off"


def _discard(connection: Connection) -> None:
    """Close a connection and drop what its transport still holds of the request.

    What TLS or the kernel has taken over already may still be sent.
    """
    transport = connection.transport
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()
    connection.close()


def _overlay(common: Mapping[str, str], own: Mapping[str, str]) -> CIMultiDict[str]:
    merged = CIMultiDict(common)
    merged.update(own)
    return merged


def _format_headers(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
