"""The requests of this process that wait, limited so that no project keeps another's from waiting."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bridge.errors import RateLimited

PACE_S = 0.05  # at least so long apart a request looks again, however quickly its feed grows


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLimits:
    """How many requests may wait; `noun` names them in a refusal, `advice` says what else to do."""

    noun: str
    advice: str
    per_project: int
    per_key: int | None = None
    at_most: int = 1_000


LONG_POLLS = WaitLimits(noun="requests", advice="end some, or ask without wait", per_project=100)
STREAMS = WaitLimits(
    noun="streams", advice="end some, or let several readers share one", per_project=20, per_key=5
)


class Waiter:
    """One waiting request; `ended` tells it to answer at once."""

    def __init__(self, key: str) -> None:
        """Take the id of the key that the request came with."""
        self.key = key
        self.ended = False
        self._stirred = asyncio.Event()
        self._stirred.set()  # something may have come before it waits
        self._woken_s = 0.0

    def stir(self) -> None:
        """Let it look whether there is something for it."""
        self._stirred.set()

    def end(self) -> None:
        """Let it answer at once."""
        self.ended = True
        self._stirred.set()

    async def sleep(self, seconds: float) -> None:
        """Return when it is stirred, at the latest after so many seconds; what came during a look counts too."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stirred.wait()
                if not self.ended:
                    await asyncio.sleep(self._woken_s + PACE_S - loop.time())
        self._stirred.clear()
        self._woken_s = loop.time()


class Waiters:
    """Who waits, by project in the order of arrival."""

    def __init__(self, limits: WaitLimits) -> None:
        """Take the limits, which hold for this process."""
        self._limits = limits
        self._waiting: dict[str, dict[Waiter, None]] = {}
        self._stopping = False

    @property
    def projects(self) -> list[str]:
        """Return the projects that have waiting requests."""
        return list(self._waiting)

    @property
    def is_stopping(self) -> bool:
        """Whether the process stops, so that nobody can wait here any more."""
        return self._stopping

    @contextmanager
    def enter(self, project: str, key: str = "") -> Iterator[Waiter]:
        """Count a request while it waits; raise RateLimited if its project, or its key, has too many.

        When the process has too many, the project with the most of them answers its oldest one.
        """
        mine = self._waiting.get(project, {})
        self._check(mine, key)
        if sum(map(len, self._waiting.values())) >= self._limits.at_most:
            self._end_oldest()
        waiter = Waiter(key)
        mine = self._waiting.setdefault(project, {})
        mine[waiter] = None
        if self._stopping:
            waiter.end()
        try:
            yield waiter
        finally:
            mine.pop(waiter, None)
            if not mine and self._waiting.get(project) is mine:
                del self._waiting[project]

    def waiting(self, project: str) -> list[Waiter]:
        """Return the requests of a project."""
        return list(self._waiting.get(project, ()))

    def _check(self, mine: dict[Waiter, None], key: str) -> None:
        limits = self._limits
        if len(mine) >= limits.per_project:
            raise RateLimited(1, f"{len(mine)} {limits.noun} of this project wait already: {limits.advice}")
        if limits.per_key is not None and Counter(each.key for each in mine)[key] >= limits.per_key:
            raise RateLimited(1, f"{limits.per_key} {limits.noun} of this key wait already: {limits.advice}")

    def stir(self, project: str) -> None:
        """Let the requests of a project look again."""
        for waiter in self.waiting(project):
            waiter.stir()

    def end_all(self) -> None:
        """Let every request answer at once, also those that are still to come: the process stops."""
        self._stopping = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.end()

    def _end_oldest(self) -> None:
        largest = max(self._waiting.values(), key=len)
        oldest = next(iter(largest))
        oldest.end()
        del largest[oldest]
