"""The receiving side of a connection: aiohttp's parser, with three gaps closed.

An error at the end of a response would hide its head, a body that can no longer arrive would still be awaited, and
bytes that arrive while no request is open would pass for the next request's response.
"""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, HttpResponseParser, RawResponseMessage

MAX_HEADER_BYTES = 8190
MAX_REMEMBERED_BYTES = 16 * 1024
MAX_INFORMATIONAL = 16
SWITCHING = 101
_HEAD_ENDS = b"\r\n\r\n"


class HttpProtocol(ResponseHandler):
    """A connection that remembers how its response began, and whether something arrived that no request asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._first_bytes = b""
        self._is_idle = False
        self._was_paused = False

    @property
    def is_unusable(self) -> bool:
        """Return whether something arrived or broke while the connection was idle: its next response may be wrong."""
        return self._is_idle and self.should_close

    def expect_response(self, *, decompress: bool, read_bufsize: int, max_headers: int) -> None:
        """Prepare for the response to a request."""
        self._is_idle = False
        self._first_bytes = b""
        self._was_paused = False
        # A new parser for each response, so that nothing is left over from the one before: half a head or a trailer.
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=decompress,
            read_bufsize=read_bufsize,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=max_headers,
        )

    def set_idle(self) -> None:
        """Expect nothing until the next request."""
        self._is_idle = True
        self._first_bytes = b""

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
        """Pass bytes to the parser, and fail the body when they broke the response."""
        if self._is_idle:
            if data:
                self.force_close()
        elif len(self._first_bytes) < MAX_REMEMBERED_BYTES:
            self._first_bytes += data[:MAX_REMEMBERED_BYTES]
        super().data_received(data)
        if self.exception() is not None:
            _fail_body(self._payload)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail a body that is still awaited."""
        payload = self._payload
        super().connection_lost(exc)
        _fail_body(payload)

    def reparse_head(self, max_headers: int) -> RawResponseMessage | None:
        """Return the final response's head, parsed again after an error behind it; None if the head itself is wrong."""
        parser = HttpResponseParser(
            self,
            self._loop,
            MAX_REMEMBERED_BYTES,
            response_with_body=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=max_headers,
        )
        for head in self._first_bytes.split(_HEAD_ENDS, MAX_INFORMATIONAL + 1)[:-1]:
            try:
                messages = parser.feed_data(head + _HEAD_ENDS)[0]
            except HttpProcessingError:
                return None
            for message, _ in messages:
                if is_final(message.code):
                    return message
        return None


def is_final(status: int) -> bool:
    """Return whether no other response follows this status (RFC 9110, section 15.2)."""
    return not 100 <= status < 200 or status == SWITCHING


def _fail_body(payload: aiohttp.StreamReader | None) -> None:
    if payload is not None and not payload.is_eof() and payload.exception() is None:
        payload.set_exception(aiohttp.ClientPayloadError("the body broke off"))
