"""Read a response's body up to a limit of decompressed bytes, whatever its headers claim."""

import zlib
from enum import Enum, auto
from typing import NamedTuple

from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_body import ResponseBody

_GZIP, _ZLIB, _RAW = 31, 15, -15  # windows as zlib counts them
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_DEFLATED = 8  # the method in the first byte of zlib's format (RFC 1950); raw deflate rarely has it there


class BodyEnding(Enum):
    """How a body ended, or why it was not read to its end."""

    WHOLE = auto()
    CUT = auto()
    BROKE_OFF = auto()
    OTHER_CODING = auto()
    NOT_AS_CODED = auto()
    GOES_ON = auto()


class CappedBody(NamedTuple):
    """What was read of a body, decompressed."""

    data: bytes
    ending: BodyEnding


def take_whole(response: HttpResponse, *, limit: int) -> CappedBody | None:
    """Return what `read_capped` would, without a wait, where a body without a coding has come together with its head."""
    body = response.body
    if not body.is_complete or response.headers.get("content-encoding"):
        return None
    data = body.read_nowait()
    return (
        CappedBody(data[:limit], BodyEnding.CUT) if len(data) > limit else CappedBody(data, BodyEnding.WHOLE)
    )


async def read_capped(response: HttpResponse, *, limit: int, wire_limit: int) -> CappedBody:
    """Return at most `limit` decompressed bytes, from not many more than `wire_limit` compressed ones.

    A body that is read to its end leaves the connection for reuse; after any other the caller closes the response.
    Raise `BodyError` where it breaks off or is malformed. gzip and deflate are taken apart; nothing else is.
    """
    whole = take_whole(response, limit=limit)
    if whole is not None:
        return whole
    body = response.body
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        return await _read_coded(body, coding, limit, wire_limit)
    pieces: list[bytes] = []
    size = 0
    while size <= limit:
        piece = await body.read()
        if not piece:
            return CappedBody(b"".join(pieces), BodyEnding.WHOLE)
        pieces.append(piece)
        size += len(piece)
    return CappedBody(b"".join(pieces)[:limit], BodyEnding.CUT)


async def _read_coded(body: ResponseBody, coding: str, limit: int, wire_limit: int) -> CappedBody:
    if coding not in _WINDOWS:
        return CappedBody(b"", BodyEnding.OTHER_CODING)
    piece = await body.read()
    unpack = zlib.decompressobj(_find_window(coding, piece))
    data = bytearray()
    on_wire = 0
    while True:
        if not piece:
            return CappedBody(bytes(data), BodyEnding.BROKE_OFF)
        on_wire += len(piece)
        try:
            data += unpack.decompress(unpack.unconsumed_tail + piece, limit + 1 - len(data))
        except zlib.error:
            return CappedBody(bytes(data), BodyEnding.NOT_AS_CODED)
        if len(data) > limit or on_wire > wire_limit:
            return CappedBody(bytes(data[:limit]), BodyEnding.CUT)
        if unpack.eof:
            break
        piece = await body.read()
    goes_on = unpack.unused_data or await body.read()
    return CappedBody(bytes(data), BodyEnding.GOES_ON if goes_on else BodyEnding.WHOLE)


def _find_window(coding: str, beginning: bytes) -> int:
    if coding == "deflate" and beginning and beginning[0] & 15 != _DEFLATED:
        return _RAW  # what some servers mean by it (RFC 9110, section 8.4.1.2, note)
    return _WINDOWS[coding]
