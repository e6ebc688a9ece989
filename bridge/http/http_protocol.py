"""The receiving side of a connection: aiohttp's parser, handed each head whole, with three gaps closed.

An error in a response would hide its status, a body that can no longer arrive would still be awaited, and bytes that
arrive while no request is open would pass for the next request's response.
"""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDictProxy

from bridge.http.keep_alive import KeepAlive
from bridge.http.response_head import MAX_FIELD_BYTES, HeadError, HeadReader


class HttpProtocol(ResponseHandler):
    """A connection that keeps the head of its response, and knows whether another request may follow."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head = HeadReader(max_headers=0)
        self._is_idle = False
        self._idle_since = self._idle_until = 0.0
        self._keep_alive: KeepAlive | None = None
        self._was_paused = False

    @property
    def is_unusable(self) -> bool:
        """Return whether the connection was idle too long, or something arrived or broke meanwhile."""
        return self._is_idle and (self.should_close or self._loop.time() >= self._idle_until)

    def expect_response(self, *, decompress: bool, read_bufsize: int, max_headers: int) -> None:
        """Prepare for the response to a request."""
        self._is_idle = False
        self._head = HeadReader(max_headers=max_headers)
        self._was_paused = False
        # A new parser for each response, so that nothing is left over from the one before: half a head or a trailer.
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=decompress,
            read_bufsize=read_bufsize,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=max_headers,
        )

    def set_idle(self, keep_alive: KeepAlive, *, at_most_s: float) -> None:
        """Expect nothing until the next request, which must come within so many seconds; note if the peer closes."""
        self._is_idle = True
        self._keep_alive = keep_alive
        self._idle_since = self._loop.time()
        self._idle_until = self._idle_since + at_most_s

    def pause_reading(self) -> None:
        """Stop reading until what has arrived is consumed."""
        self._was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 -- aiohttp's own signature
        """Continue after a pause; do nothing if this response was never paused.

        The stream reader calls this after every piece. Whether reading is paused at the moment does not decide it:
        the parser may hold something back after reading went on.
        """
        if self._was_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, heads only when they are whole, and fail the body when they broke the response."""
        if self._is_idle:
            if data:
                self.force_close()
        elif not self._head.is_done:
            try:
                data = self._head.feed(data)
            except HeadError as error:
                self._refuse(error)
                return
            if not data:
                return
        super().data_received(data)
        if self.exception() is not None:
            _fail_body(self._payload)

    def _refuse(self, error: HeadError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail a body that is still awaited."""
        by_peer = self.transport is not None  # our own `close` has taken it away before
        if self._is_idle and by_peer and self._keep_alive is not None:
            self._keep_alive.note_closed(self._loop.time() - self._idle_since)
        payload = self._payload
        super().connection_lost(exc)
        _fail_body(payload)

    def read_begun_head(self) -> tuple[int, CIMultiDictProxy[str]] | None:
        """Return status and fields of a final response whose head has begun; None before its status."""
        return self._head.read_begun()


def _fail_body(payload: aiohttp.StreamReader | None) -> None:
    if payload is not None and not payload.is_eof() and payload.exception() is None:
        payload.set_exception(aiohttp.ClientPayloadError("the body broke off"))
