"""Send a request's body piece by piece, as fast as the peer takes it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from bridge.http.client.client_errors import UploadError
from bridge.http.client.connection import Connection
from bridge.http.client.response_head import Field

# A source that never waits lets others have their turn after so much.
TURN_BYTES = 1024 * 1024
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A body that is sent while it is read.

    `size` is its length in bytes; without one it is sent in chunks. For `stall_s` seconds the peer, or whoever hands the
    pieces in, may stand still; for `answer_s` the response may take once all was sent.
    """

    pieces: AsyncIterator[bytes]
    size: int | None = None
    stall_s: float
    answer_s: float

    @property
    def framing(self) -> Field:
        """Return the header that says how the body is framed."""
        if self.size is None:
            return b"Transfer-Encoding", b"chunked"
        return b"Content-Length", b"%d" % self.size


class Deadline:
    """A time limit that moves on while an exchange makes progress; `expire` is called when it has passed."""

    __slots__ = ("_expire", "_loop", "_timer", "_until")

    def __init__(self, loop: asyncio.AbstractEventLoop, until: float, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._until = until
        self._expire = expire
        self._timer = loop.call_at(until, self._check)

    def extend(self, seconds: float) -> None:
        """Allow so many seconds from now, and no more."""
        self._until = self._loop.time() + seconds
        if self._until < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._until, self._check)

    def _check(self) -> None:
        if self._loop.time() >= self._until:
            self._expire()
        else:
            self._timer = self._loop.call_at(self._until, self._check)

    def cancel(self) -> None:
        """Set no limit any more."""
        self._timer.cancel()


async def send_body(connection: Connection, upload: Upload, deadline: Deadline) -> None:
    """Write a body to its end; fail the exchange with what its source raises, or if its length is another.

    Where the connection is lost, stop: the exchange has its outcome.
    """
    try:
        await _send_pieces(connection, upload, deadline)
    except Exception as error:  # noqa: BLE001 -- whatever the source of the body raises
        connection.fail(error)
    else:
        connection.is_whole = True
        deadline.extend(upload.answer_s)


async def _send_pieces(connection: Connection, upload: Upload, deadline: Deadline) -> None:
    sent = turn = 0
    async for piece in upload.pieces:
        if connection.is_over:
            return
        sent += len(piece)
        turn += len(piece)
        if upload.size is None:
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
        elif sent <= upload.size:
            connection.write(piece)
        else:
            raise UploadError("a body is longer than its length")
        await connection.drain()
        deadline.extend(upload.stall_s)
        if turn > TURN_BYTES:
            turn = 0
            await asyncio.sleep(0)
    if upload.size is None:
        connection.write(LAST_CHUNK)
    elif sent < upload.size:
        raise UploadError("a body is shorter than its length")
    await connection.drain()
