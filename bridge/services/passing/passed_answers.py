"""Apply what clients' own reads show to the jobs that are watched, so that the bridge need not read them too."""

import asyncio
from collections import defaultdict

from bridge.config.log import get_logger
from bridge.services.context import Services
from bridge.services.passing.passed_reads import PassedAnswer, PassedReads
from bridge.services.passing.unwatched_jobs import UnwatchedJobs
from bridge.store.errors import STORE_ERRORS

GATHER_S = 0.02
MAX_WAITING = 200  # answers of an account, the latest about each job
MAX_BYTES = 32 * 1024 * 1024  # of all that wait
log = get_logger("bridge.proxy")


class PassedAnswers:
    """Takes answers that have gone to their clients; those of 20 ms are applied together.

    Nothing waits for it. What is too much, and what the store does not take, is dropped: the bridge then reads those jobs
    itself when they are due.
    """

    def __init__(self, services: Services, unwatched: UnwatchedJobs | None = None) -> None:
        """Take what remembers jobs that nobody watches, a new one by default."""
        self._unwatched = unwatched or UnwatchedJobs()
        self._reads = PassedReads(services, self._unwatched)
        self._waiting: dict[str, dict[object, PassedAnswer]] = defaultdict(dict)
        self._bytes = 0
        self._applying: asyncio.Task[None] | None = None

    def are_needed(self, account: str, path: str) -> bool:
        """Return whether answers to an account's requests for a path may show jobs that are watched."""
        return not self._unwatched.has(account, path)

    def note(self, account: str, answer: PassedAnswer) -> None:
        """Take an answer to a request with an account's credential."""
        waiting = self._waiting[account]
        place = (answer.shown.kinds, answer.shown.job_id or len(waiting))  # each page of a list has its own
        before = waiting.get(place)
        if before is not None:
            if before.as_of_ms > answer.as_of_ms:
                return
            self._bytes -= len(before.body)
        elif len(waiting) >= MAX_WAITING:
            return
        if self._bytes + len(answer.body) > MAX_BYTES:
            waiting.pop(place, None)
            return
        waiting[place] = answer
        self._bytes += len(answer.body)
        if self._applying is None:
            self._applying = asyncio.create_task(self._apply())

    async def close(self) -> None:
        """Apply what is left."""
        if self._applying is not None:
            await self._applying

    async def _apply(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_S)
                waiting, self._waiting = self._waiting, defaultdict(dict)
                self._bytes = 0
                await asyncio.gather(*(self._apply_to(*each) for each in waiting.items()))
        finally:
            self._applying = None

    async def _apply_to(self, account: str, answers: dict[object, PassedAnswer]) -> None:
        try:
            await self._reads.apply(account, list(answers.values()))
        except STORE_ERRORS as error:
            log.warning("proxy.answers_dropped", number=len(answers), error=type(error).__name__)
