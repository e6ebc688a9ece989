"""A pump that runs on a real store, and a handler whose work ends when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bridge.store.commit import Change, Committer, Due
from bridge.store.queue.clock import StoreClock
from bridge.store.queue.lanes import Claim, Lanes, Settled
from bridge.store.queue.wakeups import listen
from workers.pump import Pump

LEASE_MS = 60_000


@dataclass
class Work:
    """A handler whose work waits until it may end."""

    lease_ms: int = LEASE_MS
    loads_at_once: int = 1
    handed_at_once: int = 1_000
    lanes_seen: int = 200
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    late_failures: list[Exception] = field(default_factory=list)
    load_failures: list[Exception] = field(default_factory=list)
    loading: asyncio.Event | None = None
    wished: list[int] = field(default_factory=list)

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        self.wished.append(most)
        return most, max(1, most // lanes)

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        return [(lane, 0) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[Settled], list[Settled]]:
        if self.loading is not None:
            await self.loading.wait()
        if self.load_failures:
            raise self.load_failures.pop()
        return [Settled(item.lane, item.member, claim.token, None) for item in claim.items], []

    async def work(self, task: Settled) -> Sequence[Settled]:
        self.begun.append(task.member)
        await self.may_end.wait()
        if self.failures:
            raise self.failures.pop()
        return (task,)

    def give_back(self, task: Settled) -> Sequence[Settled]:
        return (Settled(task.lane, task.member, task.token, 0),)

    def leave(self, task: Settled) -> bool:
        self.left.append(task.member)
        return False

    def choose(self, due: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        return due

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        if self.late_failures:
            raise self.late_failures.pop()
        self.late += [each.member for each in fenced]


async def add(lanes: Lanes, count: int, *, lane: str = "x") -> None:
    ops = [Due("dlv", lane, str(number), 0, "sooner") for number in range(count)]
    assert await Committer(lanes.redis, aof=False).commit(Change("a", (), ops)) == "done"


@asynccontextmanager
async def listening(lanes: Lanes) -> AsyncIterator[None]:
    task = asyncio.create_task(listen([lanes]))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(lanes: Lanes, work: Work, *, slots: int = 4) -> AsyncIterator[Pump[Any]]:
    clock = StoreClock()
    pump = Pump[Any](lanes, work, slots=slots, clock=clock, shard_of=lambda _: "a")
    running = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        running.cancel()
        [ended] = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), "a pump runs until it is cancelled"


async def _answer(given: Any) -> Any:
    return await given if asyncio.iscoroutine(given) else given


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await _answer(true()):  # noqa: ASYNC110  # only the store knows, for some of what is waited for
            await asyncio.sleep(0.005)


async def held(lanes: Lanes) -> int:
    """Count the live leases."""
    return int(await lanes.redis.zcount("{a}:dlv:q:x", "-inf", "(0"))


async def is_empty(lanes: Lanes, lane: str = "x") -> bool:
    return await lanes.size("a", lane) == 0
