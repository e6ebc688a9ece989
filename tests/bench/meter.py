"""Times a run between two counts, so that neither its start nor its end is measured."""

import asyncio
import ctypes
import functools
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one run did: items a second, and microseconds of a process's time an item."""

    per_s: float
    cpu_us: float


class Meter:
    """Counts items; `done` is set once `warm_up` and then `measured` of them have ended."""

    def __init__(
        self, *, warm_up: int, measured: int, cpu_s: Callable[[], float] = time.process_time
    ) -> None:
        """Take a clock of the processor time that counts: this process's, or `cpu_clock` of another one."""
        self.count = 0
        self._cpu_s = cpu_s
        self.done = asyncio.Event()
        self._from = warm_up
        self._until = warm_up + measured
        self._began = (0.0, 0.0)
        self._ended = (0.0, 0.0)

    def tick(self) -> None:
        """Count one item."""
        self.count += 1
        if self.count == self._from:
            self._began = self._now()
        elif self.count == self._until:
            self._ended = self._now()
            self.done.set()

    async def wait(self) -> None:
        """Wait for the last item that counts."""
        async with asyncio.timeout(PATIENCE_S):
            await self.done.wait()

    def speed(self) -> Speed:
        """Give what was measured."""
        took_s, cpu_s = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        items = self._until - self._from
        return Speed(per_s=items / took_s, cpu_us=cpu_s / items * 1e6)

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), self._cpu_s()


def cpu_clock(process: int) -> Callable[[], float]:
    """Return a clock of the processor seconds that a running process has used, all its threads together."""
    found = ctypes.c_int()
    failed = ctypes.CDLL(None).clock_getcpuclockid(
        process, ctypes.byref(found)
    )  # POSIX: clock_getcpuclockid(3)
    assert not failed, f"process {process}: error {failed}"
    return functools.partial(time.clock_gettime, found.value)


async def drive(meter: Meter, send: Callable[[int], Awaitable[None]], *, slots: int) -> Speed:
    """Do what `send` does with 0, 1, 2, ... in so many slots without a barrier, until the meter is done."""
    numbers = itertools.count()

    async def slot() -> None:
        while not meter.done.is_set():
            await send(next(numbers))
            meter.tick()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for _ in range(slots):
            group.create_task(slot())
    return meter.speed()
