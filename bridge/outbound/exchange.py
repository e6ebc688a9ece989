"""One request and its answer over aiohttp's connections and parser, and nothing more.

aiohttp's `ClientSession` spends more time on a request than its connections, its parser and the kernel together: on
redirects, cookies, proxies, tracing and body kinds that neither receivers nor upstreams are meant to see. So the requests
are written here. Connections are made, judged, kept and given up by aiohttp's connector as ever.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

REMEMBERED_ORIGINS = 1024
MAX_HEADER_BYTES = 8190
SWITCHING = 101
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # would end a header, or hide in it


class NotHttpError(aiohttp.ClientError):
    """What came back is not HTTP, or its head is too large."""


class Exchange:
    """An answer whose head has come; `content` is its body. Either `release` or `close` ends it."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def has_come(self) -> bool:
        """Whether the whole body is there already, so that reading it waits for nothing."""
        return self.content.is_eof()

    def release(self) -> None:
        """Keep the connection for the next request, unless something is left in it either way."""
        transport = self._connection.transport
        if transport is not None and transport.get_write_buffer_size():
            self.close()
        else:
            self._connection.release()

    def close(self) -> None:
        """Give the connection up."""
        _give_up(self._connection)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all requests to one origin share: how the connector knows it, and their headers."""

    place: aiohttp.ClientRequest
    head: str
    names: frozenset[str]


class Exchanges:
    """Makes requests through one connector; `close` at the end. `headers` go with every request."""

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        *,
        headers: Mapping[str, str],
        connect_s: float | None = None,
        decompress: bool = False,
        read_bufsize: int,
        max_headers: int,
    ) -> None:
        self.connector = connector
        self._loop = asyncio.get_running_loop()
        self._headers = headers
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_s)
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
        request = self._write("GET", origin, target, headers, b"")
        try:
            return await self._exchange(origin, request, until)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await self._exchange(origin, request, until)

    async def post(
        self, origin: str, target: str, headers: Mapping[str, str], body: bytes, *, until: float
    ) -> Exchange:
        """POST, never repeated; see `get`."""
        own = {**headers, "content-length": str(len(body))}
        return await self._exchange(origin, self._write("POST", origin, target, own, body), until)

    def _write(self, method: str, origin: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        known = self._origin(origin)
        if " " in target or _FORBIDDEN.search("".join([target, *headers, *headers.values()])):
            raise ValueError("a blank or a control character in a request's head")
        if known.names.isdisjoint([name.lower() for name in headers]):
            head = known.head + _write_headers(headers)
        else:
            head = _write_headers(_overlay(known.place.headers, headers))
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body

    async def _exchange(self, origin: str, request: bytes, until: float) -> Exchange:
        place = self._origin(origin).place
        connection: Connection | None = None
        try:
            async with asyncio.timeout_at(until):
                connection = await self.connector.connect(place, [], self._timeout)
                return await self._answer(connection, request)
        except TimeoutError as late:
            if connection is None:
                raise aiohttp.ConnectionTimeoutError from late
            _give_up(connection)
            raise
        except BaseException:
            if connection is not None:
                _give_up(connection)
            raise

    async def _answer(self, connection: Connection, request: bytes) -> Exchange:
        protocol = connection.protocol
        if protocol is None or not protocol.is_connected():
            raise aiohttp.ServerDisconnectedError
        assert protocol.transport is not None, "it is connected"
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=self._decompress,
            read_bufsize=self._read_bufsize,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=self._max_headers,
        )
        # Whole in one write and never waited for: it is in memory anyway, and an answer may come before all is taken.
        protocol.transport.write(request)
        message, content = await _read_head(protocol)
        return Exchange(connection, message.code, message.headers, content)

    def _prepare(self, origin: str) -> _Origin:
        place = aiohttp.ClientRequest(
            "GET", URL(origin, encoded=True), headers=self._headers, loop=self._loop
        )
        names = frozenset(name.lower() for name in place.headers)
        return _Origin(place, _write_headers(place.headers), names)


async def _read_head(
    protocol: ResponseHandler,
) -> tuple[aiohttp.http.RawResponseMessage, aiohttp.StreamReader]:
    """Wait for the final answer's head; informational ones (RFC 9110, 15.2) are passed over."""
    while True:
        try:
            message, content = await protocol.read()
        except HttpProcessingError as error:
            raise NotHttpError from error
        if not 100 <= message.code < 200 or message.code == SWITCHING:
            return message, content


def _give_up(connection: Connection) -> None:
    """Close a connection; what was not taken of the request yet is dropped, not sent to its end."""
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
