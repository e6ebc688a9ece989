"""The requests of this process that wait, limited so that no project keeps another's from waiting."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bridge.errors import RateLimited
from bridge.store.tables.feed import Feed

MAX_PER_PROJECT = 100
MAX_WAITING = 1_000
CHECK_INTERVAL_S = 0.25


class LongPoll:
    """One waiting request; it is to answer as soon as `ended` is set."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until it is time to look for events again, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(seconds, CHECK_INTERVAL_S))):
                await self.ended.wait()


class LongPolls:
    """Who waits, by project in the order of arrival.

    Events come from other processes, so that the store must be asked for them; it is asked once an interval for all
    requests of a project together.
    """

    def __init__(self, feed: Feed, *, per_project: int = MAX_PER_PROJECT, at_most: int = MAX_WAITING) -> None:
        self._feed = feed
        self._per_project = per_project
        self._at_most = at_most
        self._waiting: dict[str, dict[LongPoll, None]] = {}
        self._newest: dict[str, tuple[float, int]] = {}
        self._stopping = False

    @contextmanager
    def enter(self, project: str) -> Iterator[LongPoll]:
        """Count a request while it waits; raise RateLimited if its project has too many.

        When the process has too many, the project with the most of them answers its oldest one.
        """
        mine = self._waiting.setdefault(project, {})
        if len(mine) >= self._per_project:
            raise RateLimited(
                1, f"{len(mine)} requests of this project wait already: end some, or ask without wait"
            )
        if sum(map(len, self._waiting.values())) >= self._at_most:
            self._end_oldest()
        poll = LongPoll()
        mine[poll] = None
        if self._stopping:
            poll.ended.set()
        try:
            yield poll
        finally:
            mine.pop(poll, None)
            if not mine and self._waiting.get(project) is mine:
                del self._waiting[project]
                self._newest.pop(project, None)

    @property
    def is_stopping(self) -> bool:
        """Whether the process stops, so that nobody can wait here any more."""
        return self._stopping

    def end_all(self) -> None:
        """Let every request answer at once, also those that are still to come: the process stops."""
        self._stopping = True
        for polls in self._waiting.values():
            for poll in polls:
                poll.ended.set()

    async def newest(self, project: str) -> int:
        """Return the newest position in a project's feed, as it was read at most one interval ago."""
        now_s = asyncio.get_running_loop().time()
        read_s, position = self._newest.get(project, (-CHECK_INTERVAL_S, 0))
        if now_s - read_s < CHECK_INTERVAL_S / 2:
            return position
        self._newest[project] = (now_s, position)  # the others take this one meanwhile
        position = await self._feed.last(project)
        self._newest[project] = (now_s, position)
        return position

    def _end_oldest(self) -> None:
        largest = max(self._waiting.values(), key=len)
        oldest = next(iter(largest))
        oldest.ended.set()
        del largest[oldest]
