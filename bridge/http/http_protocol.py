"""The receiving end of a connection: aiohttp's parser, with three things that it lets go unseen.

An answer whose end is wrong takes its head with it, a body that can no longer come is awaited all the same, and bytes
that come while nothing was asked pass for the next request's answer.
"""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, HttpResponseParser, RawResponseMessage

MAX_HEADER_BYTES = 8190
REMEMBERED_BYTES = 16 * 1024
MOST_INFORMATIONAL = 16
SWITCHING = 101
_HEAD_ENDS = b"\r\n\r\n"


class HttpProtocol(ResponseHandler):
    """A connection that remembers how its answer began, and whether something came that nobody asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._began = b""
        self._kept = False
        self._paused_once = False

    @property
    def is_spoilt(self) -> bool:
        """Whether something came, or broke, since the connection was kept; its next answer would be another's."""
        return self._kept and self.should_close

    def ask(self, *, decompress: bool, read_bufsize: int, max_headers: int) -> None:
        """Expect the answer to a request."""
        self._kept = False
        self._began = b""
        self._paused_once = False
        # A parser of its own for each answer: what one leaves behind, half a head or a trailer, is no other's.
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=decompress,
            read_bufsize=read_bufsize,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=max_headers,
        )

    def keep(self) -> None:
        """Expect nothing until the next request."""
        self._kept = True
        self._began = b""

    def pause_reading(self) -> None:
        """Stop until what has come is read."""
        self._paused_once = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 -- aiohttp's own signature
        """Go on after a pause; the reader asks for it after every piece, also of an answer that was never paused.

        Whether one is paused now does not say it: the parser may hold something back after reading went on.
        """
        if self._paused_once:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Let the parser have what came."""
        if self._kept:
            if data:
                self.force_close()
        elif len(self._began) < REMEMBERED_BYTES:
            self._began += data[:REMEMBERED_BYTES]
        super().data_received(data)
        if self.exception() is not None:
            _break_off(self._payload)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is still awaited."""
        payload = self._payload
        super().connection_lost(exc)
        _break_off(payload)

    def read_begun(self, max_headers: int) -> RawResponseMessage | None:
        """Read the final answer's head again, of an answer that goes wrong behind it; None if the head is none."""
        parser = HttpResponseParser(
            self,
            self._loop,
            REMEMBERED_BYTES,
            response_with_body=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=max_headers,
        )
        for head in self._began.split(_HEAD_ENDS, MOST_INFORMATIONAL + 1)[:-1]:
            try:
                messages = parser.feed_data(head + _HEAD_ENDS)[0]
            except HttpProcessingError:
                return None
            for message, _ in messages:
                if is_final(message.code):
                    return message
        return None


def is_final(status: int) -> bool:
    """Say whether no other answer follows (RFC 9110, 15.2)."""
    return not 100 <= status < 200 or status == SWITCHING


def _break_off(payload: aiohttp.StreamReader | None) -> None:
    if payload is not None and not payload.is_eof() and payload.exception() is None:
        payload.set_exception(aiohttp.ClientPayloadError("the body broke off"))
