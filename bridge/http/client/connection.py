"""One connection: what is written, what arrives, and whether another request may follow."""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import cast

from bridge.http.client.client_errors import BrokenError, ClosedError, NotHttpError, UnansweredError
from bridge.http.client.keep_alive import KeepAlive
from bridge.http.client.response_body import ResponseBody
from bridge.http.client.response_head import SWITCHING, HeadError, HeadReader, ResponseHead

MAX_EARLY_BYTES = 64 * 1024
WITHOUT_BODY = frozenset((SWITCHING, 204, 304))  # RFC 9112, section 6.3

Response = tuple[ResponseHead, ResponseBody]


class Connection(asyncio.BufferedProtocol):
    """A connection to one origin, for one exchange at a time.

    It reads into `buffer`, which all connections of an event loop may share: what arrived is copied out of it at once.
    Its size is what is read in one go, so it bounds what a reader that has stopped still gets.
    `was_used`: a response has come over it before. `has_answer_begun`: a byte of the present one has come. `is_whole`: the
    whole request was written. `is_over`: an end of the connection was closed. `is_lost`: it is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer: memoryview) -> None:
        self._loop = loop
        self._buffer = buffer
        self.on_lost: Callable[[Connection], None] | None = None
        self.transport: asyncio.Transport | None = None
        self._has_news: Callable[[], bool] = lambda: True
        self.was_used = self.has_answer_begun = self.is_whole = self.is_over = self.is_lost = False
        self._early = b""
        self._is_for_head = False
        self._reader: HeadReader | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._body: ResponseBody | None = None
        self._writable: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._keep_alive: KeepAlive | None = None  # while the connection is idle
        self._idle_since = self._idle_until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._has_news = _watch(transport.get_extra_info("socket").fileno())

    # -- an exchange

    def begin(self, *, is_for_head: bool) -> asyncio.Future[Response]:
        """Expect a response, and return what it will be set on."""
        self._keep_alive = None
        self._is_for_head = is_for_head
        self._body = None
        self.has_answer_begun = self.is_whole = False
        self._reader = HeadReader()
        waiter = self._waiter = self._loop.create_future()
        if self._early:
            early, self._early = self._early, b""
            self._receive(early)
        if self.is_over:
            self._end(None)
        return waiter

    @property
    def has_unsent(self) -> bool:
        """Return whether something of the request has not been handed to the system yet."""
        return not self.is_whole or (
            self.transport is not None and self.transport.get_write_buffer_size() > 0
        )

    def write(self, data: bytes) -> None:
        """Write without waiting; where the connection is over, do nothing."""
        if self.transport is not None and not self.is_over:
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until more may be written, or the connection is lost."""
        if self._writable is not None:
            await self._writable

    def expire(self) -> None:
        """Fail the exchange because it took too long."""
        self._fail(
            TimeoutError() if self.has_unsent else UnansweredError(), "its headers did not end in time"
        )

    def fail(self, error: Exception) -> None:
        """Fail the exchange because its request cannot be sent whole."""
        self._fail(error, "its headers broke off")

    def abort(self) -> None:
        """Close at once; what is still in our buffers is not sent, what TLS or the kernel has taken over may be."""
        self._keep_alive = None
        self.is_over = True
        if self._body is not None:
            self._body.end(BrokenError())
        if self.transport is not None:
            self.transport.abort()

    # -- between exchanges

    def set_idle(self, keep_alive: KeepAlive, *, at_most_s: float) -> None:
        """Expect nothing until the next request, which must come within so many seconds; note if the peer closes."""
        self.was_used = True
        self._body = None
        self._keep_alive = keep_alive
        self._idle_since = self._loop.time()
        self._idle_until = self._idle_since + at_most_s

    @property
    def is_kept(self) -> bool:
        """Return whether the connection is idle, not for too long, and nothing came from its peer since."""
        return self._keep_alive is not None and not self.is_over and self._loop.time() < self._idle_until

    @property
    def is_usable(self) -> bool:
        """Return whether another request may be sent: a kept connection on which nothing waits to be read either.

        The peer may have closed it in this turn of the event loop, which will read that only after the request is sent.
        """
        return self.is_kept and not self._has_news()

    async def wait_closed(self) -> None:
        """Wait until the connection is lost."""
        if not self.is_lost:
            self._closed = self._closed or self._loop.create_future()
            await asyncio.shield(self._closed)

    # -- what the transport reports

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the buffer has its size
        """Return where to put what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        self._receive(bytes(self._buffer[:nbytes]))

    def _receive(self, data: bytes) -> None:
        """Pass bytes on to the head or the body; bytes that nobody waits for spoil the connection."""
        if self._body is not None:
            self._body.feed(data)
            if self._body.is_surplus:
                self.abort()
        elif self._reader is not None and self._waiter is not None:
            self._feed_head(self._reader, data)
        elif self.was_used or len(self._early) > MAX_EARLY_BYTES:
            self.abort()
        else:
            self._early += data

    def _feed_head(self, reader: HeadReader, data: bytes) -> None:
        self.has_answer_begun = True
        try:
            found = reader.feed(data)
        except HeadError as error:
            self._fail(NotHttpError(str(error)), str(error))
            return
        if found is None:
            return
        head, rest = found
        has_body = not (self._is_for_head or head.status in WITHOUT_BODY or head.flaw)
        body = self._body = ResponseBody(head, has_body=has_body, set_paused=self._set_reading_paused)
        if rest:
            body.feed(rest)
        head.flaw = head.flaw or body.flaw
        self._resolve(head, body)
        if head.flaw:
            self.abort()

    def eof_received(self) -> bool:
        """Take the end of what the peer sends for the end of the connection."""
        self.is_over = True
        if self._keep_alive is None:
            self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever waits."""
        self.is_over = self.is_lost = True
        if self._keep_alive is not None:
            self._keep_alive.note_closed(self._loop.time() - self._idle_since)
            self._keep_alive = None
        self._end(exc)
        self.resume_writing()
        if self.on_lost is not None:
            self.on_lost(self)
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._writable = self._writable or self._loop.create_future()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _end(self, error: Exception | None) -> None:
        if self._body is not None:
            self._body.end(error)
        else:
            self._fail(ClosedError() if error is None else BrokenError(), "its headers broke off")

    def _fail(self, error: Exception, flaw: str) -> None:
        """End the exchange; a peer whose final status has come has read the request, whatever becomes of the rest."""
        if self._waiter is not None and not self._waiter.done():
            begun = self._reader.read_begun(flaw) if self._reader is not None else None
            if begun is None:
                self._waiter.set_exception(error)
                self._waiter = self._reader = None
            else:
                body = ResponseBody(begun, has_body=False, set_paused=self._set_reading_paused)
                self._resolve(begun, body)
        self.abort()

    def _resolve(self, head: ResponseHead, body: ResponseBody) -> None:
        self._body = body
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((head, body))
        self._waiter = self._reader = None

    def _set_reading_paused(self, is_paused: bool) -> None:  # noqa: FBT001 -- it is a callback with no other argument
        if self.transport is None or self.is_lost or self.transport.is_closing():
            return
        (self.transport.pause_reading if is_paused else self.transport.resume_reading)()


def _watch(descriptor: int) -> Callable[[], bool]:
    """Return a function that says whether bytes or the peer's end wait on a socket."""
    if sys.platform == "win32":
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return lambda: bool(poller.poll(0))
