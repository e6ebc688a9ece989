"""Holds: the first delivery of a new callback waits until its registration has been answered."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.errors import STORE_ERRORS
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

log = structlog.get_logger()


class Holds:
    """The holds of callbacks. `UnitOfWork.hold` sets one together with its callback, `Wanted.holds` loads them."""

    def __init__(self, redis: Redis) -> None:
        """Use the store's client."""
        self._redis = redis
        self._released: dict[str, int] = {}
        self._calls: set[asyncio.Task[None]] = set()  # the event loop refers to its tasks only weakly

    def release(self, callback_ids: Sequence[str], *, after_ms: int) -> None:
        """End the holds of these callbacks `after_ms` from now, if they have not ended yet.

        It is done in the background, in one round trip for all that is released in this iteration of the event loop. If
        it fails, the holds end by themselves later.
        """
        if not self._released:
            asyncio.get_running_loop().call_soon(self._start_call)
        self._released.update(dict.fromkeys(callback_ids, after_ms))

    async def finish(self) -> None:
        """Wait until what was released has been sent, before the store is closed."""
        self._start_call()
        await asyncio.gather(*self._calls)

    def _start_call(self) -> None:
        released, self._released = self._released, {}
        if not released:
            return
        call = asyncio.get_running_loop().create_task(self._release_all(released))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _release_all(self, released: Mapping[str, int]) -> None:
        by_shard: dict[str, dict[str, int]] = {}
        for identifier, after_ms in released.items():
            by_shard.setdefault(keys.shard(identifier), {})[keys.hold(identifier)] = after_ms
        calls = [
            ScriptCall(SCRIPTS["release_v1"], tuple(holds), tuple(holds.values()))
            for holds in by_shard.values()
        ]
        try:
            await run_many(self._redis, calls)
        except STORE_ERRORS as error:
            log.warning("store.release_failed", callbacks=len(released), error=type(error).__name__)
