"""Renew leases during slow work: they are short, so that a dead worker's items return to the queue soon."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog

from bridge.store.errors import STORE_ERRORS
from bridge.store.queue.lanes import Lanes

log = structlog.get_logger()


class RenewedLeases:
    """A context manager that renews the leases of some items of one lane; afterwards `tokens` are the valid ones.

    A quick block costs only a timer. A lease that was lost keeps its old token, with which nothing can be settled.
    """

    def __init__(
        self,
        lanes: Lanes,
        shard: str,
        lane: str,
        held: Sequence[tuple[str, bytes]],
        *,
        lease_ms: int,
        every_s: float,
    ) -> None:
        """Take pairs (member, token); the leases must last longer than `every_s`, the interval of renewals."""
        self._lanes = lanes
        self._place = (shard, lane)
        self._members = [member for member, _ in held]
        self._lease_ms = lease_ms
        self._every_s = every_s
        self._over: asyncio.Event | None = None  # created by the first renewal, which most blocks never need
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.tokens = [token for _, token in held]

    async def __aenter__(self) -> Self:
        """Start the timer of the first renewal."""
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; wait for a renewal in progress, because it changes the tokens."""
        assert self._timer is not None, "entered"
        self._timer.cancel()
        if self._over is not None:
            self._over.set()
        if self._renewing is not None:
            await self._renewing

    def _begin(self) -> None:
        self._over = asyncio.Event()
        self._renewing = asyncio.ensure_future(self._renew_until_over(self._over))

    async def _renew_until_over(self, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self._renew()
            except STORE_ERRORS as error:
                log.warning("lease.not_renewed", error=type(error).__name__)
            try:
                await asyncio.wait_for(over.wait(), self._every_s)
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        held = list(zip(self._members, self.tokens, strict=True))
        renewed = await self._lanes.renew(*self._place, held, lease_ms=self._lease_ms)
        self.tokens = [new or old for new, old in zip(renewed, self.tokens, strict=True)]
