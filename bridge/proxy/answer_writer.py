"""Write an answer's head and body as they came, without what a server framework would add or change."""

import asyncio
import socket
import struct
from collections.abc import Sequence

from aiohttp import web
from aiohttp.http import HttpVersion11

from bridge.http.client.client_errors import BodyError
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import Field
from bridge.proxy.answer_copy import AnswerCopy
from bridge.proxy.request_body import is_streamed

WITHOUT_BODY = frozenset((204, 304))
_RESET = struct.pack("ii", 1, 0)  # linger, for 0 seconds
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
    request: web.BaseRequest,
    response: HttpResponse,
    fields: Sequence[Field],
    *,
    stall_s: float,
    copy: AnswerCopy | None = None,
) -> WrittenAnswer:
    """Write a response to a client as it comes; raise ConnectionError where either side is gone in its middle.

    So it does where either side stands still for `stall_s` seconds. `copy` gets the body too, if it comes whole.
    A body of unknown length is sent in chunks, to a client of HTTP/1.0 until the connection closes.
    """
    has_body = request.method != "HEAD" and response.status not in WITHOUT_BODY
    is_open_ended = has_body and not any(name.lower() == b"content-length" for name, _ in fields)
    is_old = request.version < HttpVersion11
    is_last = is_old or must_close(request)
    framing = [(b"Transfer-Encoding", b"chunked")] if is_open_ended and not is_old else []
    closing = [(b"Connection", b"close")] if is_last else []
    head = _write_head(response, [*fields, *framing, *closing])
    try:
        await _write_body(
            request, response, head, is_chunked=bool(framing), has_body=has_body, stall_s=stall_s, copy=copy
        )
    except (BodyError, TimeoutError) as error:
        response.close()
        at_once = isinstance(error, TimeoutError) or (is_open_ended and is_old)
        _break_off(request, 0 if at_once else stall_s)
        raise ConnectionError(str(error)) from error
    except BaseException:
        response.close()
        raise
    if copy is not None:
        copy.end()
    response.release()
    return WrittenAnswer(response.status, is_last=is_last)


def must_close(request: web.BaseRequest) -> bool:
    """Return whether no other request can follow: the client wants none, or what follows cannot be told apart.

    That is what stands behind a request for an upgrade, which aiohttp does not read, behind a body in chunks, whose
    trailers it would mix into the next request, and behind one that has not been read to its end.
    """
    is_unclear = "Upgrade" in request.headers or "Transfer-Encoding" in request.headers
    return is_unclear or not request.keep_alive or is_streamed(request)


def _break_off(request: web.BaseRequest, within_s: float) -> None:
    """End the connection without the end of the body, so that the client sees that it is not whole.

    What has been written may still arrive within so many seconds; with 0 the client gets a reset.
    """
    transport = request.transport
    if transport is None:
        return
    if within_s:
        asyncio.get_running_loop().call_later(within_s, transport.abort)
    else:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


def _write_head(response: HttpResponse, fields: Sequence[Field]) -> bytes:
    line = b"HTTP/1.1 %d %b" % (response.status, response.reason)
    return b"\r\n".join([line, *[b"%b: %b" % field for field in fields], b"", b""])


async def _write_body(
    request: web.BaseRequest,
    response: HttpResponse,
    head: bytes,
    *,
    is_chunked: bool,
    has_body: bool,
    stall_s: float,
    copy: AnswerCopy | None,
) -> None:
    """Write the head together with what has arrived of the body, then the rest as it arrives."""
    writer, body = request.writer, response.body
    piece = body.read_nowait() if has_body else b""
    if copy is not None:
        copy.add(piece)
    data = head + (_chunk(piece) if is_chunked else piece)
    while has_body and not body.at_end:
        async with asyncio.timeout(stall_s):
            await writer.write(data)
        async with asyncio.timeout(stall_s):
            piece = await body.read()
        if copy is not None:
            copy.add(piece)
        data = _chunk(piece) if is_chunked else piece
    async with asyncio.timeout(stall_s):
        await writer.write(data + (_LAST_CHUNK if is_chunked else b""))


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
