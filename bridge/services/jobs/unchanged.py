"""A cache of answers that changed nothing, so that the same bytes need not be evaluated again for the same job.

What an answer means depends on its bytes, on the job's record and on this process's settings, and on time only through
deadlines. Nearly every poll of a watched job finds the same answer as before, and costs a third less with this cache.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.observation import Observation, Observed, Timing
from bridge.http.upstream import READ_TIMEOUT_S, KnownAnswer
from bridge.store.records import Loaded

MAX_ANSWERS = 100_000  # of some 300 bytes each
READ_MS = round(READ_TIMEOUT_S * 1000)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class UnchangedAnswer(KnownAnswer, frozen=True, kw_only=True, gc=False):
    """An answer that changed nothing about a job's record (known by its hash), valid until `until_ms`.

    At that time a deadline may change what the answer means. Of the observation only what the timeline shows is kept.
    """

    record: int
    until_ms: int


class UnchangedAnswers:
    """Answers by job key, of this process alone: another one may have other status words in its settings."""

    def __init__(self) -> None:
        self._kept: dict[str, UnchangedAnswer] = {}
        self._shared: dict[tuple[str, tuple[str, ...], Timing], Observed] = {}

    def keep(self, key: str, job: Loaded[Job], seen: Observed, *, digest: bytes, until_ms: int) -> None:
        """Add an answer that changed nothing."""
        if len(self._kept) >= MAX_ANSWERS:
            self._kept.clear()
            self._shared.clear()
        self._kept[key] = UnchangedAnswer(
            digest=digest, result=self._share(seen.observation), record=hash(job.raw), until_ms=until_ms
        )

    def _share(self, seen: Observation) -> Observed:
        """Return the same object for all equal observations, to save memory with thousands of jobs."""
        content = (seen.status, seen.unknown, seen.timing)
        if content not in self._shared:
            bare = Observation(
                status=seen.status, ending=None, data=NOTHING, timing=seen.timing, unknown=seen.unknown
            )
            self._shared[content] = Observed(observation=bare)
        return self._shared[content]

    def find(self, key: str, job: Loaded[Job], log: PollLog, *, now_ms: int) -> KnownAnswer | None:
        """Return the answer that would change nothing about these records if a poll begun now got it, or None."""
        unchanged = self._kept.get(key)
        if unchanged is None or unchanged.record != hash(job.raw) or unchanged.digest != log.digest:
            return None
        return unchanged if now_ms + READ_MS < unchanged.until_ms else None
