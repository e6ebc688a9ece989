"""The body of a response as it arrives; when its reader falls behind, the peer has to wait."""

import asyncio
from collections.abc import Callable

from bridge.http.client.chunks import ChunkReader
from bridge.http.client.client_errors import BodyError
from bridge.http.client.response_head import ResponseHead

HIGH_WATER_BYTES = 64 * 1024
BROKE_OFF = "its body broke off"
MALFORMED = "its body is malformed or goes on behind its end"


class ResponseBody:
    """A body's bytes, without the framing of the connection and still in its content coding.

    `is_complete`: all of it has arrived. `is_surplus`: more arrived than belongs to it. `set_paused` is called with
    True when reading of the connection is to pause, and with False when it is to go on.
    """

    __slots__ = (
        *("_chunks", "_error", "_is_paused", "_left", "_pieces", "_set_paused", "_size", "_waiter"),
        *("is_complete", "is_surplus"),
    )

    def __init__(self, head: ResponseHead, *, has_body: bool, set_paused: Callable[[bool], None]) -> None:
        self._set_paused = set_paused
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: BodyError | None = None
        self._left = head.length if has_body else 0
        self._chunks = ChunkReader() if has_body and head.is_chunked else None
        self.is_complete = self._left == 0 and self._chunks is None
        self.is_surplus = False

    @property
    def flaw(self) -> str:
        """Return what is known to be wrong with the body so far, in words, or ""."""
        return MALFORMED if self.is_surplus else str(self._error or "")

    @property
    def at_end(self) -> bool:
        """Return whether all of the body has arrived and was read."""
        return self.is_complete and not self._pieces

    def feed(self, data: bytes) -> None:
        """Add bytes of the connection."""
        if self.is_complete or self._error is not None:
            self.is_surplus = True
            return
        if self._chunks is not None:
            data = self._take_chunks(self._chunks, data)
        elif self._left is not None:
            if len(data) > self._left:
                self.is_surplus = True
                data = data[: self._left]
            self._left -= len(data)
            self.is_complete = not self._left
        if data:
            self._pieces.append(data)
            self._size += len(data)
        if self._size > HIGH_WATER_BYTES and not self.is_complete and not self._is_paused:
            self._is_paused = True
            self._set_paused(True)  # noqa: FBT003 -- it has no other argument
        self._wake()

    def _take_chunks(self, chunks: ChunkReader, data: bytes) -> bytes:
        data = chunks.feed(data)
        if chunks.is_complete:
            self.is_complete = True
            self.is_surplus = chunks.is_broken
        elif chunks.is_broken:
            self._error = BodyError(MALFORMED)
        return data

    def end(self, error: BaseException | None) -> None:
        """Note that nothing more will come: the end of a body without a length, unless the connection broke."""
        if not self.is_complete and self._error is None:
            if self._left is None and self._chunks is None and error is None:
                self.is_complete = True
            else:
                self._error = BodyError(BROKE_OFF)
        self._wake()

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte, and b"" at the end; raise `BodyError` where the body breaks off.

        One reader at a time; it limits the time itself.
        """
        while not self._pieces and not self.is_complete:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.read_nowait()

    def read_nowait(self) -> bytes:
        """Return what has arrived and was not read, or b""."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._is_paused:
            self._is_paused = False
            self._set_paused(False)  # noqa: FBT003 -- it has no other argument
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
