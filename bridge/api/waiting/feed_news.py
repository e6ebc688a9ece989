"""What this process's waiting requests hear of their projects' feeds.

The store's hints name a project whose feed has grown. One may get lost, so the positions of all projects that have
waiting requests are read once a second too, together.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from bridge.api.waiting.waiters import Waiters
from bridge.config.log import get_logger
from bridge.store.cancellation import is_cancelled
from bridge.store.errors import STORE_ERRORS
from bridge.store.recent import Recent
from bridge.store.tables.feed import Feed

INTERVAL_S: Final = 1.0  # between two looks, and before the store is asked again after an error
MOST_RESENT: Final = 1_000  # ids that wait for one stream
log = get_logger("bridge.api")


class FeedNews:
    """Stirs waiting requests when their project's feed has grown."""

    def __init__(self, feed: Feed, rooms: Sequence[Waiters], *, interval_s: float = INTERVAL_S) -> None:
        """Take the feeds, the requests that wait for them, and how often to look without a hint."""
        self._feed = feed
        self._rooms = rooms
        self._interval_s = interval_s
        self._newest = Recent(feed.last, max_age_s=interval_s)
        self._looked: dict[str, int] = {}
        self._also: list[Callable[[str], None]] = []
        self._resent: dict[str, list[deque[str]]] = {}

    def tell_first(self, hear: Callable[[str], None]) -> None:
        """Call a function with a project before its requests are stirred: what was read of it is out of date."""
        self._also.append(hear)

    @contextmanager
    def hearing_resent(self, project: str | None) -> Iterator[deque[str]]:
        """Yield a queue that takes the ids of a project's events that are sent again while the block runs.

        Without a project it stays empty.
        """
        queue: deque[str] = deque(maxlen=MOST_RESENT)
        if project is None:
            yield queue
            return
        self._resent.setdefault(project, []).append(queue)
        try:
            yield queue
        finally:
            left = [each for each in self._resent[project] if each is not queue]
            if left:
                self._resent[project] = left
            else:
                del self._resent[project]

    def _hear_resent(self, project: str, event: str) -> None:
        for queue in self._resent.get(project, ()):
            queue.append(event)
        if project in self._resent:
            for room in self._rooms:
                room.stir(project)

    async def newest(self, project: str) -> int:
        """Return the newest position in a project's feed, which all of its requests read together."""
        return await self._newest.get(project) or 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        tasks = {
            asyncio.create_task(_repeat(self._listen, INTERVAL_S)),
            asyncio.create_task(_repeat(self._look, self._interval_s)),
        }
        try:
            yield
        finally:
            while tasks:  # one that waits for the store may ignore its first cancellation
                for task in tasks:
                    task.cancel()
                _, tasks = await asyncio.wait(tasks, timeout=INTERVAL_S)

    def _hear(self, project: str | None) -> None:
        for each in self._projects() if project is None else (project,):
            for forget in (self._newest.forget, *self._also):
                forget(each)
            for room in self._rooms:
                room.stir(each)

    def _projects(self) -> set[str]:
        return {project for room in self._rooms for project in room.projects}

    async def _listen(self) -> None:
        await self._feed.listen(self._hear, self._hear_resent)

    async def _look(self) -> None:
        projects = sorted(self._projects())
        found = await self._feed.last_of(projects)
        for project in projects:
            if found[project] != self._looked.get(project):
                self._hear(project)
        self._looked = found


async def _repeat(run: Callable[[], Awaitable[None]], interval_s: float) -> None:
    """Call a function again and again until cancelled, at intervals, also while the store is away."""
    while not is_cancelled():
        try:
            await run()
        except STORE_ERRORS as error:
            log.debug("api.feed_not_heard", error=type(error).__name__)
        await asyncio.sleep(interval_s)
