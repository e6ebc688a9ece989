"""One request and its answer over aiohttp's connections and parser, and nothing more.

aiohttp's `ClientSession` spends more time on a request than its connections, its parser and the kernel together: on
redirects, cookies, proxies, tracing and body kinds that neither receivers nor upstreams are meant to see. So the requests
are written here. Connections are made, judged, kept and given up by aiohttp's connector as ever.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import ceil, inf
from typing import cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge.http.http_protocol import MOST_INFORMATIONAL, SWITCHING, HttpProtocol, is_final

REMEMBERED_ORIGINS = 1024
LARGE_BYTES = 16 * 1024
STEPS_A_SECOND = 10  # a limit made once serves all requests of its tenth of a second
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # would end a header, or hide in it


class NotHttpError(aiohttp.ClientError):
    """What came back is not HTTP, its head is too large, or too many heads came."""


class Exchange:
    """An answer whose head has come; `content` is its body. Either `release` or `close` ends it.

    `is_broken` says that what came with the head is no body, or more than one: `content` is empty then.
    """

    __slots__ = ("_connection", "_is_last", "content", "headers", "is_broken", "status")

    def __init__(
        self,
        connection: Connection,
        message: RawResponseMessage,
        content: aiohttp.StreamReader | None,
        *,
        is_last: bool,
    ) -> None:
        self._connection = connection
        self._is_last = is_last
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = aiohttp.EMPTY_PAYLOAD if content is None else content
        self.is_broken = content is None

    @property
    def has_come(self) -> bool:
        """Whether the whole body is there already, so that reading it waits for nothing."""
        return self.content.is_eof()

    def release(self) -> None:
        """Keep the connection for the next request, unless this answer was its last or more of the request waits."""
        connection = self._connection
        wire, transport = connection.protocol, connection.transport
        if self._is_last or (transport is not None and transport.get_write_buffer_size()):
            self.close()
        else:
            if isinstance(wire, HttpProtocol):
                wire.keep()
            connection.release()

    def close(self) -> None:
        """Give the connection up."""
        _give_up(self._connection)


class _Place(aiohttp.ClientRequest):
    """A request that stands for all to one origin; how the connector knows it is worked out once."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        return super().connection_key


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all requests to one origin share: how the connector knows it, and their headers."""

    place: _Place
    head: str
    names: frozenset[str]


class HttpClient:
    """Makes requests through one connector; `close` at the end. `headers` go with every request."""

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
        # aiohttp offers no other way to a protocol of one's own; its version is pinned.
        wires = cast("partial[ResponseHandler]", partial(HttpProtocol, loop=self._loop))
        connector._factory = wires  # noqa: SLF001 -- see above
        self._headers = headers
        self._connect_s = connect_s
        self._decompress = decompress
        self._read_bufsize = read_bufsize
        self._max_headers = max_headers
        self._origin = lru_cache(maxsize=REMEMBERED_ORIGINS)(self._prepare)

    async def close(self) -> None:
        """Close every connection."""
        await self.connector.close()

    async def get(self, origin: str, target: str, headers: Mapping[str, str], *, until: float) -> Exchange:
        """GET; a kept connection that closes under the request is replaced once, since a read may be repeated.

        `origin` is `https://host:port`, `target` what goes on the wire behind it, `until` a moment of the loop's clock.
        """
        known = self._origin(origin)
        request = _write("GET", known, target, headers, b"")
        try:
            return await self._exchange(known.place, request, until)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await self._exchange(known.place, request, until)

    async def post(
        self, origin: str, target: str, headers: Mapping[str, str], body: bytes, *, until: float
    ) -> Exchange:
        """POST, never repeated; see `get`."""
        known = self._origin(origin)
        own = {**headers, "content-length": str(len(body))}
        return await self._exchange(known.place, _write("POST", known, target, own, body), until)

    async def _exchange(self, place: _Place, request: bytes, until: float) -> Exchange:
        connection, wire = await self._connect(place, until)
        try:
            return await self._answer(connection, wire, request, until)
        except BaseException:
            _give_up(connection)
            raise

    async def _connect(self, place: _Place, until: float) -> tuple[Connection, HttpProtocol]:
        """Connect, or take a kept connection on which nothing came since."""
        left_s = min(until - self._loop.time(), self._connect_s)
        timeout = _connect_within(max(ceil(left_s * STEPS_A_SECOND), 1))
        while True:
            try:
                connection = await self.connector.connect(place, [], timeout)
            except TimeoutError as late:
                raise aiohttp.ConnectionTimeoutError from late
            wire = connection.protocol
            assert isinstance(wire, HttpProtocol), "the connector makes no others"
            if not wire.is_spoilt:
                return connection, wire
            connection.close()

    async def _answer(
        self, connection: Connection, wire: HttpProtocol, request: bytes, until: float
    ) -> Exchange:
        if not wire.is_connected():
            raise aiohttp.ServerDisconnectedError
        if (
            self._loop.time() >= until
        ):  # connecting took all of it: what is sent now would be sent for nothing
            raise aiohttp.ConnectionTimeoutError
        assert wire.transport is not None, "it is connected"
        wire.ask(decompress=self._decompress, read_bufsize=self._read_bufsize, max_headers=self._max_headers)
        # Whole in one write and never waited for: it is in memory anyway, and an answer may come before all is taken.
        wire.transport.write(request)
        # Lighter than a timeout around the wait, which would cancel and catch; many are set and nearly none strikes.
        late = self._loop.call_at(until, wire.set_exception, TimeoutError())
        try:
            message, content = await _read_head(wire, self._max_headers)
        finally:
            late.cancel()
        # Who refuses a large request may have left part of it unread, out of sight in the buffers of TLS and the kernel.
        refused = len(request) > LARGE_BYTES and not 200 <= message.code < 300
        is_last = refused or content is None or message.code == SWITCHING
        return Exchange(connection, message, content, is_last=is_last)

    def _prepare(self, origin: str) -> _Origin:
        place = _Place("GET", URL(origin, encoded=True), headers=self._headers, loop=self._loop)
        names = frozenset(name.lower() for name in place.headers)
        return _Origin(place, _write_headers(place.headers), names)


def _write(method: str, known: _Origin, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    if " " in target or _FORBIDDEN.search("".join([target, *headers, *headers.values()])):
        raise ValueError("a blank or a control character in a request's head")
    if known.names.isdisjoint([name.lower() for name in headers]):
        head = known.head + _write_headers(headers)
    else:
        head = _write_headers(_overlay(known.place.headers, headers))
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body


@lru_cache(maxsize=REMEMBERED_ORIGINS)
def _connect_within(steps: int) -> aiohttp.ClientTimeout:
    """Limit a new connection; the connector must not round it up by itself, as it does beyond a threshold."""
    return aiohttp.ClientTimeout(total=None, connect=steps / STEPS_A_SECOND, ceil_threshold=inf)


async def _read_head(
    wire: HttpProtocol, max_headers: int
) -> tuple[RawResponseMessage, aiohttp.StreamReader | None]:
    """Wait for the final answer's head; informational ones are passed over. None as the body: it is broken."""
    content: aiohttp.StreamReader | None
    for _ in range(MOST_INFORMATIONAL + 1):
        try:
            message, content = await wire.read()
        except HttpProcessingError as error:
            # A receiver that adds bytes to its 200 has taken the request all the same.
            begun = wire.read_begun(max_headers)
            if begun is None:
                raise NotHttpError from error
            message, content = begun, None
        if message.code < 100:
            raise NotHttpError
        if is_final(message.code):
            return message, content
    raise NotHttpError


def _give_up(connection: Connection) -> None:
    """Close a connection; what its transport still holds of the request is dropped.

    What TLS or the kernel took over already may yet be sent.
    """
    transport = connection.transport
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()
    connection.close()


def _overlay(common: Mapping[str, str], own: Mapping[str, str]) -> CIMultiDict[str]:
    merged = CIMultiDict(common)
    merged.update(own)
    return merged


def _write_headers(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
