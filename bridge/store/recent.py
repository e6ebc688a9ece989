"""Keep what was read from the store for a moment, so that a busy process need not read it for each request."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_AGE_S = 0.5
MOST = 10_000


class Recent(Generic[K, V]):
    """Values by key, none of them older than `max_age_s`: a value that is asked for was read later than that ago.

    The bound needs no message from whoever changes a value. So it also holds while messages would be lost, beside
    processes of another version, and after a fail-over of the store. Only what exists is kept.
    """

    def __init__(
        self,
        read: Callable[[K], Awaitable[V | None]],
        *,
        max_age_s: float = MAX_AGE_S,
        most: int = MOST,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the function that reads a value, None where there is none; keep at most `most` values."""
        self._read = read
        self._max_age_s = max_age_s
        self._most = most
        self._clock_s = clock_s
        self._reads: dict[K, tuple[float, asyncio.Future[V | None]]] = {}

    async def get(self, key: K) -> V | None:
        """Return a value, None where there is none; whoever asks during a read shares it."""
        known = self._reads.get(key)
        if known is None or self._clock_s() - known[0] >= self._max_age_s:
            known = self._begin(key)
        # Shielded, because others may wait for it too.
        return known[1].result() if known[1].done() else await asyncio.shield(known[1])

    def forget(self, key: K) -> None:
        """Read a value anew next time, because this process has changed it."""
        self._reads.pop(key, None)

    def _begin(self, key: K) -> tuple[float, asyncio.Future[V | None]]:
        self._reads.pop(key, None)
        if len(self._reads) >= self._most:
            del self._reads[next(iter(self._reads))]  # the one whose read began first
        begun = self._reads[key] = (self._clock_s(), asyncio.ensure_future(self._read(key)))
        begun[1].add_done_callback(partial(self._settle, key))
        return begun

    def _settle(self, key: K, read: asyncio.Future[V | None]) -> None:
        if not (read.cancelled() or read.exception() or read.result() is None):
            return
        known = self._reads.get(key)
        if known is not None and known[1] is read:
            del self._reads[key]
