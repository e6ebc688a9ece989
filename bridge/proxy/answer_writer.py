"""Write an answer's head and body as they came, without what a server framework would add or change."""

import asyncio
from collections.abc import Awaitable, Sequence

from aiohttp import web

from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import Field

STALL_S = 60.0  # for which neither side may stand still in the middle of a body
WITHOUT_BODY = frozenset((204, 304))
_LAST_CHUNK = b"0\r\n\r\n"


class WrittenAnswer(web.StreamResponse):
    """An answer that has been written; it tells aiohttp only whether the connection is kept."""

    def __init__(self, status: int, *, is_last: bool) -> None:
        super().__init__(status=status)
        self._is_last = is_last

    @property
    def keep_alive(self) -> bool:
        """Return whether another request may follow on the connection."""
        return not self._is_last

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


async def write_answer(
    request: web.BaseRequest, response: HttpResponse, fields: Sequence[Field]
) -> WrittenAnswer:
    """Write a response to a client as it comes; raise ConnectionError where either side is gone in its middle.

    A body of unknown length is sent in chunks, to a client of HTTP/1.0 until the connection closes.
    """
    names = {name.lower() for name, _ in fields}
    has_body = request.method != "HEAD" and response.status not in WITHOUT_BODY
    is_open_ended = has_body and b"content-length" not in names
    is_chunked = is_open_ended and request.version >= (1, 1)
    is_last = not request.keep_alive or (is_open_ended and not is_chunked) or _is_upgrade(request)
    framing = [(b"Transfer-Encoding", b"chunked")] if is_chunked else []
    closing = [(b"Connection", b"close")] if is_last else []
    head = _write_head(response, [*fields, *framing, *closing])
    await _write_body(request, response, head, is_chunked=is_chunked, has_body=has_body)
    response.release()
    return WrittenAnswer(response.status, is_last=is_last)


def _is_upgrade(request: web.BaseRequest) -> bool:
    # Bytes behind a request for an upgrade would wait for ever.
    return "upgrade" in request.headers


def _write_head(response: HttpResponse, fields: Sequence[Field]) -> bytes:
    line = b"HTTP/1.1 %d %b" % (response.status, response.reason)
    return b"\r\n".join([line, *(b"%b: %b" % field for field in fields), b"", b""])


async def _write_body(
    request: web.BaseRequest, response: HttpResponse, head: bytes, *, is_chunked: bool, has_body: bool
) -> None:
    """Write the head together with what has arrived of the body, then the rest as it arrives."""
    writer, body = request.writer, response.body
    piece = body.read_nowait() if has_body else b""
    data = head + (_chunk(piece) if is_chunked else piece)
    while has_body and not body.at_end:
        await _write(writer.write(data))
        async with asyncio.timeout(STALL_S):
            piece = await body.read()
        data = _chunk(piece) if is_chunked else piece
    await _write(writer.write(data + (_LAST_CHUNK if is_chunked else b"")))


async def _write(writing: Awaitable[None]) -> None:
    async with asyncio.timeout(STALL_S):
        await writing


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
