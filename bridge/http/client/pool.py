"""Connections that are kept for the next request to their origin, for a few seconds."""

import asyncio

from bridge.http.client.connection import Connection
from bridge.http.client.keep_alive import MAX_IDLE_S


class ConnectionPool:
    """Keeps idle connections by origin, and knows all that are open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: dict[str, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Take a new connection over; it is in use."""
        if not connection.is_lost:
            self._open.add(connection)
            connection.on_lost = self._open.discard

    def take(self, origin: str) -> Connection | None:
        """Return the usable connection that was idle for the shortest time."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return connection
            connection.abort()
        return None

    def keep(self, origin: str, connection: Connection) -> None:
        """Keep a connection that was set idle."""
        idle = self._idle.get(origin)
        if idle is None:
            self._idle[origin] = [connection]
        else:
            idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(MAX_IDLE_S, self._drop_old)

    async def close(self) -> None:
        """Close every connection, and wait until they are closed."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        closing = list(self._open)
        self._idle.clear()
        for connection in closing:
            connection.abort()
        for connection in closing:
            await connection.wait_closed()

    def _drop_old(self) -> None:
        self._sweep = None
        for origin, idle in list(self._idle.items()):
            kept = [connection for connection in idle if connection.is_kept]
            for connection in set(idle).difference(kept):
                connection.abort()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = self._loop.call_later(MAX_IDLE_S, self._drop_old)
