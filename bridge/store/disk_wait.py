"""Keep a server from being late with its answers to WAITAOF.

Valkey (9.1) and Redis (7.2, 7.4) with `appendfsync everysec` answer WAITAOF as soon as an iteration of their event loop
finds that all is written to the append-only file. Where each iteration has something new to write, such as keys that
expire, they find this only after the next fsync, up to a second later. A command that only reads makes an iteration
without a write.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from bridge.store.errors import STORE_ERRORS

LOOK_S = 0.01


class DiskWait:
    """Reads a key at intervals while any WAITAOF is waited for."""

    def __init__(self, redis: Redis, key: str) -> None:
        """Take a key on the server that the waits are for."""
        self._redis = redis
        self._key = key
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Mark that a WAITAOF is waited for; no read is under way after the last one, so that the client can be closed."""
        self._waiting += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._waiting -= 1
            if self._reading is not None and not self._waiting:
                await asyncio.wait([self._reading])

    async def _look(self) -> None:
        try:
            await asyncio.sleep(LOOK_S)
            while self._waiting:
                self._reading = asyncio.get_running_loop().create_future()
                try:
                    with suppress(*STORE_ERRORS):  # the waits themselves notice it
                        await self._redis.exists(self._key)
                finally:
                    self._reading.set_result(None)
                    self._reading = None
                await asyncio.sleep(LOOK_S)
        finally:
            self._looking = None
