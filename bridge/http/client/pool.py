"""Connections that are kept for the next request to their origin, for a few seconds."""

import asyncio

from bridge.http.client.connection import Connection
from bridge.http.client.keep_alive import MAX_IDLE_S


class ConnectionPool:
    """Keeps idle connections by origin, and knows all that are open.

    Of more than `most_open` in all, those are closed that are idle for the longest time: whoever answers at many names
    would otherwise use up the process's file descriptors.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, most_open: int) -> None:
        self._loop = loop
        self._most_open = most_open
        self._idle: dict[str, list[Connection]] = {}
        self._origins: dict[Connection, str] = {}  # of the idle ones, by when they became so
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Take a new connection over; it is in use."""
        if not connection.is_lost:
            self._open.add(connection)
            connection.on_lost = self._open.discard
            self._make_room()

    def take(self, origin: str) -> Connection | None:
        """Return the usable connection that was idle for the shortest time."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            del self._origins[connection]
            if connection.is_usable:
                return connection
            connection.abort()
        return None

    def keep(self, origin: str, connection: Connection) -> None:
        """Keep a connection that was set idle."""
        self._origins[connection] = origin
        idle = self._idle.get(origin)
        if idle is None:
            self._idle[origin] = [connection]
        else:
            idle.append(connection)
        self._make_room()
        if self._sweep is None:
            self._sweep = self._loop.call_later(MAX_IDLE_S, self._drop_old)

    async def close(self) -> None:
        """Close every connection, and wait until they are closed."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        closing = list(self._open)
        self._idle.clear()
        self._origins.clear()
        for connection in closing:
            connection.abort()
        for connection in closing:
            await connection.wait_closed()

    def _drop_old(self) -> None:
        self._sweep = None
        for connection in [each for each in self._origins if not each.is_kept]:
            self._drop(connection)
        self._idle = {origin: idle for origin, idle in self._idle.items() if idle}
        if self._idle:
            self._sweep = self._loop.call_later(MAX_IDLE_S, self._drop_old)

    def _make_room(self) -> None:
        if len(self._open) > self._most_open and self._origins:
            self._drop(next(iter(self._origins)))

    def _drop(self, connection: Connection) -> None:
        self._idle[self._origins.pop(connection)].remove(connection)
        connection.abort()
