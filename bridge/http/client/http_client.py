"""Send requests over kept connections, and return each response as soon as its head has come."""

import asyncio
import resource
from collections.abc import Coroutine, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

from msgspec import Struct

from bridge.http.client.client_errors import ClosedError, ConnectTimeout
from bridge.http.client.connection import Connection
from bridge.http.client.connector import Connector, Origin
from bridge.http.client.expiry import ExpiryTimer
from bridge.http.client.http_response import HttpResponse, Way
from bridge.http.client.keep_alive import KeepAlive
from bridge.http.client.pool import ConnectionPool
from bridge.http.client.request_head import CommonHeaders, write_raw_head
from bridge.http.client.response_body import ResponseBody
from bridge.http.client.response_head import SWITCHING, Field, ResponseHead
from bridge.http.client.tracebacks import forget_frames
from bridge.http.client.upload import Deadline, Upload, send_body

ORIGIN_CACHE_SIZE = 1024
LARGE_BYTES = 16 * 1024
# Several times as many as a worker sends at once: with fewer, a busy one would close connections that it needs next.
MOST_OPEN = 2048
# What RFC 9110 (section 9.2.1) calls safe, as far as it is sent here: no other method is ever sent twice.
REPEATABLE = frozenset(("GET", "HEAD"))
BODIES = frozenset(("POST", "PUT", "PATCH"))


class _Known(NamedTuple):
    """What all requests to one origin share."""

    text: str
    origin: Origin
    common: CommonHeaders
    keep_alive: KeepAlive


class _Request(Struct, frozen=True, gc=False):
    method: str
    head: bytes
    body: bytes | Upload


class HttpClient:
    """A client over one pool of connections, with no redirects, no cookies and no proxy; `close` it at the end.

    `headers` go with every `get` and `post`. A connection is made within `connect_s` seconds and is not used again once
    it was idle for 3 s, or for the shorter time that its peer allows.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        headers: Mapping[str, str] | None = None,
        connect_s: float = inf,
        most_open: int | None = None,
    ) -> None:
        """Take how many connections may be open before idle ones close: by default half of what the process may have."""
        self._loop = asyncio.get_running_loop()
        self._connector = connector
        self._headers = headers or {}
        self._connect_s = connect_s
        self._pool = ConnectionPool(self._loop, most_open=most_open or _count_allowed())
        self._expiry = ExpiryTimer(self._loop)
        self._know = lru_cache(maxsize=ORIGIN_CACHE_SIZE)(self._prepare)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()
        self._expiry.close()

    def get(
        self, origin: str, target: str, headers: Mapping[str, str], *, until: float
    ) -> Coroutine[Any, Any, HttpResponse]:
        """Send a GET; if a kept connection closes under it, send it once more over a new one.

        `origin` is `https://host:port`, `target` the path and query, `until` a time of the event loop's clock, at which
        the head of the response must have come.
        """
        known = self._know(origin)
        head = known.common.write_head("GET", target, headers, None)
        return self._send(known, _Request("GET", head, b""), until)

    def post(
        self, origin: str, target: str, headers: Mapping[str, str], body: bytes, *, until: float
    ) -> Coroutine[Any, Any, HttpResponse]:
        """Send a POST, which is never repeated; otherwise like `get`."""
        known = self._know(origin)
        head = known.common.write_head("POST", target, headers, len(body))
        return self._send(known, _Request("POST", head, body), until)

    async def request(
        self,
        method: str,
        origin: str,
        target: str,
        fields: Sequence[Field],
        *,
        body: bytes | Upload = b"",
        until: float,
    ) -> HttpResponse:
        """Send any request with its header fields as they are, in their order, and nothing added but Host and framing.

        A GET or HEAD without a body may be repeated as `get` does, nothing else ever is. `until` is the time at which the
        head of the response must have come; for an `Upload`, at which it must be connected: its own limits follow.
        """
        known = self._know(origin)
        if isinstance(body, Upload):
            framing: Field | None = body.framing
        else:
            framing = (b"Content-Length", b"%d" % len(body)) if body or method in BODIES else None
        head = write_raw_head(method, target, fields, host=known.origin.host_header, framing=framing)
        return await self._send(known, _Request(method=method, head=head, body=body), until)

    async def _send(self, known: _Known, request: _Request, until: float) -> HttpResponse:
        try:
            connection = self._pool.take(known.text)
            if connection is None:
                return await self._exchange(known, await self._connect(known, until), request, until)
            try:
                return await self._exchange(known, connection, request, until)
            except ClosedError:
                if request.method not in REPEATABLE or request.body or connection.has_answer_begun:
                    raise
            return await self._exchange(known, await self._connect(known, until), request, until)
        except Exception as error:
            forget_frames(error)
            raise

    async def _connect(self, known: _Known, until: float) -> Connection:
        within = min(until, self._loop.time() + self._connect_s)
        connection = await self._connector.connect(known.origin, until=within)
        self._pool.add(connection)
        return connection

    async def _exchange(
        self, known: _Known, connection: Connection, request: _Request, until: float
    ) -> HttpResponse:
        if self._loop.time() >= until:
            # Connecting took all of the time: a request sent now could not be answered in time.
            connection.abort()
            raise ConnectTimeout
        upload = None
        expire = connection.expire
        try:
            if isinstance(request.body, Upload):
                head, body, upload = await self._stream(connection, request, request.body)
            else:
                waiter = connection.begin(is_for_head=request.method == "HEAD")
                # Written whole and not waited for: it is in memory anyway, and a response may come before all of it is sent.
                connection.write(request.head + request.body)
                connection.is_whole = True
                # Cheaper than a timeout around the wait, which would cancel and catch: nearly none expires.
                self._expiry.add(expire, until)
                head, body = await waiter
        except BaseException:
            connection.abort()
            raise
        finally:
            self._expiry.remove(expire)
        # A peer that refuses a large request may have left part of it unread, in the buffers of TLS and the kernel.
        is_large = isinstance(request.body, Upload) or len(request.head) + len(request.body) > LARGE_BYTES
        is_last = head.is_last or head.status == SWITCHING or (is_large and not 200 <= head.status < 300)
        way = Way(origin=known.text, connection=connection, pool=self._pool, keep_alive=known.keep_alive)
        return HttpResponse(head, body, way, is_last=is_last, upload=upload)

    async def _stream(
        self, connection: Connection, request: _Request, upload: Upload
    ) -> tuple[ResponseHead, ResponseBody, asyncio.Task[None]]:
        """Send the body while waiting for the response; stop where it is a refusal."""
        waiter = connection.begin(is_for_head=request.method == "HEAD")
        connection.write(request.head)
        deadline = Deadline(self._loop, self._loop.time() + upload.stall_s, connection.expire)
        sending = self._loop.create_task(send_body(connection, upload, deadline))
        try:
            head, body = await waiter
        except BaseException:
            sending.cancel()
            deadline.cancel()
            raise
        sending.add_done_callback(lambda _: deadline.cancel())
        if head.status >= 300:
            sending.cancel()
        return head, body, sending

    def _prepare(self, text: str) -> _Known:
        origin = Origin.read(text)
        common = CommonHeaders({"host": origin.host_header, **self._headers})
        return _Known(text=text, origin=origin, common=common, keep_alive=KeepAlive(tls=origin.is_tls))


def _count_allowed() -> int:
    """Return how many connections may be open: with reads, clients and the store there is as much again."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN if soft == resource.RLIM_INFINITY else max(1, min(MOST_OPEN, soft // 2))
