"""Read the bodies of requests."""

from typing import Final

from aiohttp import web

UNREADABLE: Final = "the body is not readable: its Content-Encoding or its length is wrong"
CLOSES: Final = {"Connection": "close"}  # headers of the answer to a body that is not readable


async def read_body(request: web.Request) -> bytes | None:
    """Return the body without its content coding, None for one that does not have the coding that it claims.

    No other request can be read from the connection of such a body, which is closed after the answer.
    """
    try:
        return await request.read()
    except web.RequestPayloadError:
        request.content.feed_eof()  # else aiohttp would read on after the answer, and log the error as its own
        request.protocol.close()
        return None
