"""Make a read once for all who ask for the same thing at nearly the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class SharedReads:
    """Reads under way, and those that have just ended; one that failed is not kept."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, tuple[int, asyncio.Task[Any]]] = {}

    async def get(
        self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]], *, now_ms: int, fresh_ms: int
    ) -> T:
        """Return what `read` returns, or what another read of `key` does: one under way, or begun in the last `fresh_ms`.

        What `read` raises, all raise who wait for it. It goes on when they have gone.
        """
        begun_ms, task = self._reads.get(key, (0, None))
        if task is None or (task.done() and now_ms - begun_ms > fresh_ms):
            task = asyncio.create_task(read())
            self._reads[key] = (now_ms, task)
            task.add_done_callback(lambda ended: self._end(key, ended, fresh_ms))
        result: T = await asyncio.shield(task)
        return result

    def _end(self, key: Hashable, task: asyncio.Task[Any], fresh_ms: int) -> None:
        if task.cancelled() or task.exception() is not None:
            self._drop(key, task)
        else:
            asyncio.get_running_loop().call_later(fresh_ms / 1000, self._drop, key, task)

    def _drop(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._reads.get(key, (0, None))[1] is task:
            del self._reads[key]
