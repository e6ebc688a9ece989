"""A response whose head has arrived."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bridge.http.client.connection import Connection
from bridge.http.client.keep_alive import KeepAlive
from bridge.http.client.pool import ConnectionPool
from bridge.http.client.response_body import ResponseBody
from bridge.http.client.response_head import Field, ResponseHead


class Way(Struct, frozen=True):
    """Where a response came from: its connection, and where that goes when it is kept."""

    origin: str
    connection: Connection
    pool: ConnectionPool
    keep_alive: KeepAlive


class HttpResponse:
    """A response to one request; whoever asked ends it with `release` or `close`.

    `headers` has the first of each field by its name in lower case, `fields` all of them as they came. `flaw`: what is
    wrong with it behind its status, in words, or ""; then the body cannot be trusted. `is_well_formed`: its head is as
    RFC 9112 wants it; if not, where its body ends is a guess.
    """

    __slots__ = ("_head", "_is_last", "_upload", "_way", "body", "status")

    def __init__(
        self,
        head: ResponseHead,
        body: ResponseBody,
        way: Way,
        *,
        is_last: bool,
        upload: asyncio.Task[None] | None,
    ) -> None:
        self._head = head
        self._way = way
        self._is_last = is_last
        self._upload = upload
        self.status = head.status
        self.body = body

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the first value of each field by its name in lower case; what is not UTF-8 is replaced."""
        return self._head.headers

    def all_of(self, name: str) -> str:
        """Return all values of a field, by its name in lower case, joined by commas; "" if it is missing."""
        return self._head.all_of(name)

    @property
    def fields(self) -> Sequence[Field]:
        """Return names and values as they came: bytes in their order, with the case of names and repeated fields."""
        return self._head.list_fields()

    @property
    def reason(self) -> bytes:
        """Return what follows the status in its line."""
        return self._head.reason

    @property
    def flaw(self) -> str:
        """Return what was wrong with the response when its head had come, or ""."""
        return self._head.flaw

    @property
    def is_well_formed(self) -> bool:
        """Return whether the head is as RFC 9112 wants it."""
        return self._head.is_well_formed

    @property
    def is_complete(self) -> bool:
        """Return whether the whole body has arrived, so that reading it waits for nothing."""
        return self.body.is_complete

    def release(self) -> None:
        """Keep the connection for a while, if another request may follow: the exchange is over on both sides."""
        connection = self._way.connection
        idle_s = self._way.keep_alive.limit_s(self._head.headers.get("keep-alive"))
        is_ended = self.body.is_complete and not self.body.is_surplus and not connection.has_unsent
        if not is_ended or self._is_last or connection.is_over or not idle_s:
            self.close()
            return
        self.body.read_nowait()
        connection.set_idle(self._way.keep_alive, at_most_s=idle_s)
        self._way.pool.keep(self._way.origin, connection)

    def close(self) -> None:
        """Close the connection; what is left of the request is not sent, what is left of the response not read."""
        if self._upload is not None:
            self._upload.cancel()
        self._way.connection.abort()
