"""A clock with the store's time, since the clocks of the hosts may be wrong."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from bridge.store.errors import STORE_ERRORS

ASK_EVERY_S = 5.0
AskStore = Callable[[], Awaitable[int]]  # `Store.time_ms`
log = structlog.get_logger()


class StoreClock:
    """The store's time: its last answer plus the monotonic time since."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Start with this host's time."""
        self._monotonic_s = monotonic_s
        self._offset = time.time() - monotonic_s()

    def set(self, now_ms: int) -> None:
        """Set the clock from one of the store's answers."""
        self._offset = now_ms / 1000 - self._monotonic_s()

    def now_ms(self) -> int:
        """Return the store's time in Unix milliseconds."""
        return round((self._offset + self._monotonic_s()) * 1000)

    async def ask(self, store_time_ms: AskStore) -> None:
        """Set the clock by asking the store."""
        self.set(await store_time_ms())


@asynccontextmanager
async def following(
    clock: StoreClock, store_time_ms: AskStore, *, every_s: float = ASK_EVERY_S
) -> AsyncIterator[None]:
    """Set a clock now and at intervals, because the monotonic clock may stop while a machine is suspended."""
    await clock.ask(store_time_ms)
    task = asyncio.create_task(_follow(clock, store_time_ms, every_s))
    try:
        yield
    finally:
        task.cancel()


async def _follow(clock: StoreClock, store_time_ms: AskStore, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await clock.ask(store_time_ms)
        except STORE_ERRORS as error:
            log.info(
                "clock.store_unreachable", error=type(error).__name__
            )  # the last answer stands meanwhile
