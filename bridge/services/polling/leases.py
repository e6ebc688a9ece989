"""Renew leases during slow work: they are short, so that a dead worker's items return to the queue soon."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog

from bridge.store.errors import STORE_ERRORS
from bridge.store.queue.lanes import Lanes

log = structlog.get_logger()


class RenewalTimer:
    """One timer for the first renewals of many blocks, since a timer for each poll would cost more than its lease."""

    def __init__(self, *, every_s: float) -> None:
        """Take how long after its start a block renews its leases for the first time."""
        self.every_s = every_s
        self._begins: dict[
            RenewedLeases, float
        ] = {}  # in the order of their times, since all wait equally long
        self._timer: asyncio.TimerHandle | None = None

    def add(self, block: "RenewedLeases") -> None:
        """Call a block's `begin` in `every_s` seconds."""
        loop = asyncio.get_running_loop()
        self._begins[block] = loop.time() + self.every_s
        if self._timer is None:
            self._timer = loop.call_later(self.every_s, self._run, loop)

    def remove(self, block: "RenewedLeases") -> None:
        """Forget a block that has ended."""
        self._begins.pop(block, None)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now_s = loop.time()
        while self._begins:
            block, at_s = next(iter(self._begins.items()))
            if at_s > now_s:
                self._timer = loop.call_at(at_s, self._run, loop)
                return
            del self._begins[block]
            block.begin()


class RenewedLeases:
    """A context manager that renews the leases of some items of one lane; afterwards `tokens` are the valid ones.

    A quick block costs next to nothing. A lease that was lost keeps its old token, with which nothing can be settled.
    """

    def __init__(
        self,
        lanes: Lanes,
        shard: str,
        lane: str,
        held: Sequence[tuple[str, bytes]],
        *,
        lease_ms: int,
        timer: RenewalTimer,
    ) -> None:
        """Take pairs (member, token); the leases must last longer than the timer's `every_s`, the interval of renewals."""
        self._lanes = lanes
        self._place = (shard, lane)
        self._members = [member for member, _ in held]
        self._lease_ms = lease_ms
        self._timer = timer
        self._over: asyncio.Event | None = None  # created by the first renewal, which most blocks never need
        self._renewing: asyncio.Task[None] | None = None
        self.tokens = [token for _, token in held]

    async def __aenter__(self) -> Self:
        """Have the leases renewed as long as the block lasts."""
        self._timer.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; wait for a renewal in progress, because it changes the tokens."""
        self._timer.remove(self)
        if self._over is not None:
            self._over.set()
        if self._renewing is not None:
            await self._renewing

    def begin(self) -> None:
        """Renew the leases now, and again and again until the block ends."""
        self._over = asyncio.Event()
        self._renewing = asyncio.ensure_future(self._renew_until_over(self._over))

    async def _renew_until_over(self, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self._renew()
            except STORE_ERRORS as error:
                log.warning("lease.not_renewed", error=type(error).__name__)
            try:
                await asyncio.wait_for(over.wait(), self._timer.every_s)
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        held = list(zip(self._members, self.tokens, strict=True))
        renewed = await self._lanes.renew(*self._place, held, lease_ms=self._lease_ms)
        self.tokens = [new or old for new, old in zip(renewed, self.tokens, strict=True)]
