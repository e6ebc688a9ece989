"""Read a response's body up to a limit of decompressed bytes, whatever its headers claim."""

import zlib

from aiohttp import StreamReader, hdrs

from bridge.http.http_client import HttpResponse

MAX_BODY_BYTES = 16 * 1024
MAX_WIRE_BYTES = 64 * 1024  # also limits compressed bytes that decompress to nothing
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


async def read_capped(response: HttpResponse) -> tuple[bytes, str]:
    """Return what could be read, decompressed, at most 16 KB, and a note when it is not all of the body (else "").

    A body that is read to its end leaves the connection for reuse; after any other the caller closes the response.
    Raise what the connection raises.
    """
    content = response.content
    coding = response.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding not in ("", "identity"):
        return await _read_coded(content, coding)
    if content.is_eof() and content.total_bytes <= MAX_BODY_BYTES:
        return content.read_nowait(), ""  # the body came together with the head
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        chunk = await content.readany()
        if not chunk:
            return bytes(body), ""
        body += chunk
    return bytes(body[:MAX_BODY_BYTES]), "its body was cut after 16 KB"


async def _read_coded(content: StreamReader, coding: str) -> tuple[bytes, str]:
    window = _WINDOWS.get(coding)
    if window is None:
        return b"", "its body came in a coding that was not asked for"
    unpack = zlib.decompressobj(window)
    body = bytearray()
    on_wire = 0
    while not unpack.eof:
        chunk = await content.readany()
        if not chunk:
            return bytes(body), "its compressed body broke off"
        on_wire += len(chunk)
        try:
            body += unpack.decompress(unpack.unconsumed_tail + chunk, MAX_BODY_BYTES + 1 - len(body))
        except zlib.error:
            return bytes(body), f"its body is not {coding}, though it says so"
        if len(body) > MAX_BODY_BYTES or on_wire > MAX_WIRE_BYTES:
            return bytes(body[:MAX_BODY_BYTES]), "its body was cut after 16 KB"
    if await content.readany():
        return bytes(body), "its body goes on behind its compressed part"
    return bytes(body), ""
