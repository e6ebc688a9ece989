"""Wait for the end of jobs; the store is asked for all jobs that a project's requests wait for together."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from bridge.api.waiting.feed_news import FeedNews
from bridge.api.waiting.waiters import Waiters
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.watches import ends_wait
from bridge.errors import Unavailable
from bridge.services.queries import load_jobs
from bridge.store.recent import Recent
from bridge.store.store import Store

# How often jobs are read although the project's feed shows no new event: an ending may be told once and be read again.
LOOK_S = 2.0
SHARED_S = 0.1  # so long what one request has read serves the others, unless a hint has come since


WhenLost = Callable[[Callable[[], None]], AbstractContextManager[None]]


class _Project:
    """The jobs of a project that are waited for, as they were last read."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.position = -1
        self.looked_s = 0.0
        self.jobs: dict[str, Job | None] = {}


class JobWaits:
    """The requests of this process that wait for jobs to end, under the limits of all long polls."""

    def __init__(self, store: Store, polls: Waiters, news: FeedNews) -> None:
        self._store = store
        self._polls = polls
        self._news = news
        self._projects: dict[str, _Project] = {}
        self._looks = Recent(self._look, max_age_s=SHARED_S)
        news.tell_first(self._looks.forget)

    async def wait(self, key: str, job: Job, *, seconds: float, telling_when_lost: WhenLost) -> None:
        """Return once a job has ended or timed out, was removed, or `seconds` have passed, or the client has hung up.

        `telling_when_lost` makes a block that calls a function when the client hangs up. Raise RateLimited when too many requests of the project wait, and
        Unavailable when this process stops meanwhile.
        """
        began_in_tail = job.state is JobState.TAIL
        if ends_wait(job, began_in_tail=began_in_tail):
            return
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        with (
            self._polls.enter(job.project) as poll,
            telling_when_lost(poll.end),
            self._enter(job.project, key),
        ):
            while not (poll.ended or loop.time() >= until_s):
                await poll.sleep(min(until_s - loop.time(), LOOK_S))
                seen = await self._read(job.project)
                if key in seen and _is_answered(seen[key], began_in_tail=began_in_tail):
                    return
        if self._polls.is_stopping:
            raise Unavailable("this process restarts: repeat the request", retry_after_s=1)

    @contextmanager
    def _enter(self, project: str, key: str) -> Iterator[None]:
        mine = self._projects.setdefault(project, _Project())
        mine.waiting[key] += 1
        try:
            yield
        finally:
            mine.waiting[key] -= 1
            if mine.waiting[key] <= 0:
                del mine.waiting[key]
                mine.jobs.pop(key, None)
            if not mine.waiting and self._projects.get(project) is mine:
                del self._projects[project]

    async def _read(self, project: str) -> Mapping[str, Job | None]:
        return await self._looks.get(project) or {}

    async def _look(self, project: str) -> Mapping[str, Job | None]:
        """Return the jobs that are waited for, read again if an event came or LOOK_S have passed."""
        mine = self._projects.get(project)
        if mine is None:
            return {}
        now_s = asyncio.get_running_loop().time()
        position = await self._news.newest(project)
        if position != mine.position or now_s - mine.looked_s >= LOOK_S:
            mine.position, mine.looked_s = position, now_s
            wanted = list(mine.waiting)
            found = await load_jobs(self._store, wanted)
            mine.jobs = {key: found[key].record if key in found else None for key in wanted}
        return mine.jobs


def _is_answered(job: Job | None, *, began_in_tail: bool) -> bool:
    return job is None or ends_wait(job, began_in_tail=began_in_tail)
