"""Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html defines their text."""

from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
# A proxy must neither gather nor change the stream; nginx gathers what it passes on unless it is told not to.
HEADERS: Final = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Access-Control-Allow-Origin": "*",  # who has a key may read; no cookie counts
}
HEARTBEAT: Final = b": heartbeat\n"


def write_opening(retry_ms: int) -> bytes:
    """Return the first line: how long a client waits before it connects again."""
    return b"retry: %d\n" % retry_ms


def write_place(position: int) -> bytes:
    """Return a block without data: nothing is dispatched, and the client remembers the position."""
    return b"id: %d\n\n" % position


def write_event(type_: str, data: bytes, *, position: int | None = None) -> bytes:
    """Return an event; `data` is JSON, which has no line breaks. Without a position the client keeps its last one."""
    place = b"" if position is None else b"id: %d\n" % position
    return b"%bevent: %b\ndata: %b\n\n" % (place, type_.encode(), data)
