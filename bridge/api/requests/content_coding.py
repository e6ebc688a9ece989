"""Undo a request's `Content-Encoding`, up to a limit of decoded bytes.

aiohttp's own decoding also decodes what it only throws away: 64 KB of gzip that was refused for its size would still
be decoded to 60 MB.
"""

import zlib

from bridge.errors import PayloadTooLarge, ValidationFailed

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15  # RFC 9110, 8.4.1.2: some clients send "deflate" without the zlib format around it
_ZLIB_METHOD = 8


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error for a body of more than `limit` bytes."""
    return PayloadTooLarge(f"body: larger than {limit // 1024} KB, the most that is read: send less")


def decode_content(body: bytes, coding: str, *, limit: int) -> bytes:
    """Return the body as it was before `coding`, in time linear to `limit`.

    Raise PayloadTooLarge for more than `limit` bytes, ValidationFailed for an unknown coding and for a body that does
    not have it.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity") or not body:
        return body
    window = _WINDOWS.get(coding)
    if window is None:
        raise ValidationFailed("Content-Encoding", "use gzip or deflate, or send the body as it is")
    if coding == "deflate" and body[0] & 0xF != _ZLIB_METHOD:
        window = _RAW_DEFLATE
    unpack = zlib.decompressobj(window)
    try:
        content = unpack.decompress(body, limit + 1)
    except zlib.error:
        content, broken = b"", True
    else:
        broken = not unpack.eof
    if len(content) > limit:
        raise too_large(limit)
    if broken or unpack.unused_data:
        raise ValidationFailed("body", "not readable (its length or encoding is wrong): send it again")
    return content
