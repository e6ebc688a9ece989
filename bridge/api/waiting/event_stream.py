"""One stream of server-sent events: a cursor in a project's feed, and a client that takes what lies behind it.

Nothing is queued for a client: a page of events is read, written and taken before the next one is read.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http import StreamWriter

from bridge.api.responses.server_sent import HEADERS, HEARTBEAT, write_event, write_opening, write_place
from bridge.api.server import HttpConnection
from bridge.api.waiting.feed_news import FeedNews
from bridge.api.waiting.waiters import Waiter
from bridge.domain.events.records import EventRecord
from bridge.store.errors import STORE_ERRORS

Page = tuple[Sequence[tuple[EventRecord, int]], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """The times of a stream in seconds.

    A comment is sent when nothing was for `heartbeat_s`, because proxies cut what is silent for a minute. A client that
    takes nothing for `stall_s` is cut off.
    """

    heartbeat_s: float = 15.0
    stall_s: float = 60.0


RESENT: Final = "stream.resend"
STREAM_TIMING: Final = StreamTiming()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """What a stream reads. `read` returns the events that fit behind a position, and where to go on if there are more.

    `is_allowed` returns whether the client's key still counts. `resent` takes the ids of events that are sent again, and
    `read_resent` returns such an event if it fits.
    """

    project: str
    news: FeedNews
    read: Callable[[int], Awaitable[Page]]
    is_allowed: Callable[[], Awaitable[bool]]
    timing: StreamTiming
    resent: deque[str]
    read_resent: Callable[[str], Awaitable[EventRecord | None]]

    async def run(self, client: "StreamClient", waiter: Waiter, cursor: int) -> None:
        """Write what comes behind a position until the waiter is ended, the key is revoked, or the client is gone.

        Raise TimeoutError for a client that takes nothing. While the store is away nothing is lost: the stream goes on
        once it is back.
        """
        loop = asyncio.get_running_loop()
        told, beat_s = cursor, loop.time() + self.timing.heartbeat_s
        while not waiter.ended:
            try:
                newest = await self.news.newest(self.project)
                found, more = await self.read(cursor) if newest > cursor else ((), None)
            except STORE_ERRORS:
                newest, found, more = cursor, (), None
            if await self._write_resent(client):
                beat_s = loop.time() + self.timing.heartbeat_s
            for event, position in found:
                await client.write(write_event(event.type, event.body, position=position))
                told, beat_s = position, loop.time() + self.timing.heartbeat_s
            cursor = more if more is not None else max(newest, cursor, *(at for _, at in found[-1:]))
            if loop.time() >= beat_s:
                if not await self.is_allowed():
                    return
                await client.write(HEARTBEAT + (write_place(cursor) if cursor > told else b"\n"))
                told, beat_s = cursor, loop.time() + self.timing.heartbeat_s
            if more is None:
                await waiter.sleep(beat_s - loop.time())

    async def _write_resent(self, client: "StreamClient") -> int:
        """Write the events that are sent again, which have no place of their own; return how many."""
        count = 0
        while self.resent:
            try:
                event = await self.read_resent(self.resent[0])
            except STORE_ERRORS:  # it stays in the queue
                break
            self.resent.popleft()
            if event is not None:
                await client.write(write_event(RESENT, event.body))
                count += 1
        return count


class StreamClient:
    """The client's side of a stream."""

    def __init__(self, request: web.Request, connection: HttpConnection, timing: StreamTiming) -> None:
        """Take the request that asks for the stream."""
        self._request = request
        self._connection = connection
        self._stall_s = timing.stall_s
        self.response = web.StreamResponse(headers=HEADERS)

    async def open(self, *, retry_ms: int, cursor: int) -> None:
        """Begin the answer; the client knows its position from now on, also if it hears nothing."""
        self._give_up_unconfirmed()
        await self.response.prepare(self._request)
        await self.write(write_opening(retry_ms) + write_place(cursor))

    def _give_up_unconfirmed(self) -> None:
        """Let the system close a connection whose other end has confirmed nothing for so long, where it can."""
        transport = self._request.transport
        found = transport.get_extra_info("socket") if transport is not None else None
        if found is not None and found.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._stall_s * 1000))

    async def write(self, data: bytes) -> None:
        """Write, and wait until the client has taken most of what was written; raise TimeoutError if it takes nothing."""
        writer = self._request.writer
        assert isinstance(writer, StreamWriter), "what aiohttp's server gives"
        await writer.write(data, drain=False)
        await self._connection.wait_until_taken(self._stall_s)

    def cut(self) -> None:
        """Close the connection at once, with what has been written to it."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def end(self) -> None:
        """End the answer, so that the client sees that it is whole; raise TimeoutError if it takes nothing."""
        async with asyncio.timeout(self._stall_s):
            await self.response.write_eof()
