"""The store's time for every process: a host whose clock is off must not shorten anybody's deadline."""

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
    """The store's time, from its last answer and the time since: no two hosts' clocks are compared."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with this host's time."""
        self._monotonic_s = monotonic_s
        self._offset = time.time() - monotonic_s()

    def set(self, now_ms: int) -> None:
        """Take over the store's time from one of its answers."""
        self._offset = now_ms / 1000 - self._monotonic_s()

    def now_ms(self) -> int:
        """Give the store's time now, in Unix milliseconds."""
        return round((self._offset + self._monotonic_s()) * 1000)

    async def ask(self, store_time_ms: AskStore) -> None:
        """Ask the store what time it is; raise what the store raises."""
        self.set(await store_time_ms())


@asynccontextmanager
async def following(
    clock: StoreClock, store_time_ms: AskStore, *, every_s: float = ASK_EVERY_S
) -> AsyncIterator[None]:
    """Keep a clock on the store's time: at once, then again and again, as a suspended machine's clock may stand still."""
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
