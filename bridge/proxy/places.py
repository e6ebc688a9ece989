"""How much may be under way at once, shared so that one project leaves places to the others."""

import asyncio
from collections import Counter

MAX_WAITING = 1_000


class Places:
    """Places that projects share.

    A project may hold `share` times as many as are free, so that there is always a free one for a project that holds
    none: of 96 places and a share of 2, one project alone gets 64.
    """

    def __init__(self, most: int, *, share: int) -> None:
        self._most = most
        self._share = share
        self._held: Counter[str] = Counter()
        self._taken = 0
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    def take(self, project: str) -> bool:
        """Take a place, which `give_back` ends; return False if there is none for the project now."""
        if self._held[project] >= self._share * (self._most - self._taken):
            return False
        self._held[project] += 1
        self._taken += 1
        return True

    async def wait(self, project: str, *, within_s: float) -> bool:
        """Take a place as soon as there is one; return False if there is none in time, or too many wait."""
        if self.take(project):
            return True
        if len(self._waiting) >= MAX_WAITING:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (project, waiter)
        self._waiting.append(entry)
        try:
            await asyncio.wait((waiter,), timeout=within_s)
        except asyncio.CancelledError:
            if waiter.done():
                self.give_back(project)
            raise
        finally:
            if not waiter.done():
                self._waiting.remove(entry)
        return waiter.done()

    def give_back(self, project: str) -> None:
        """End the use of a place; who has waited longest for one that may be had now gets it."""
        self._taken -= 1
        self._held[project] -= 1
        if not self._held[project]:
            del self._held[project]
        for entry in self._waiting:
            if self.take(entry[0]):
                entry[1].set_result(None)
                self._waiting.remove(entry)
                return
