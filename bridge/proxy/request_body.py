"""The body of a proxied request: whole if it has arrived already, else as a stream."""

from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http import HttpVersion11

from bridge.http.client.upload import Upload

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def is_streamed(request: web.BaseRequest) -> bool:
    """Return whether a body follows that has not arrived whole."""
    return request.body_exists and not request.content.is_eof()


async def open_body(request: web.BaseRequest, *, stall_s: float, answer_s: float) -> bytes | Upload:
    """Return the body; ask for one that the client holds back until it is asked for (RFC 9110, section 10.1.1).

    See `Upload` for the limits of a body that is streamed.
    """
    if not is_streamed(request):
        return await request.content.read() if request.body_exists else b""
    expects = request.headers.get("Expect", "").strip().lower() == "100-continue"
    if expects and request.version >= HttpVersion11 and request.transport is not None:
        request.transport.write(_CONTINUE)
    return Upload(
        pieces=_read_pieces(request), size=request.content_length, stall_s=stall_s, answer_s=answer_s
    )


async def _read_pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    while piece := await request.content.readany():
        yield piece
