"""Echoes: answers that say again, byte for byte, what changed nothing the last time; they are not thought through twice.

What an answer means depends on its bytes, on the job's record and on this process's tables, and on time only through
deadlines. Nearly every poll of a watched job is an echo, and costs a third less for it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.observation import Observation, Observed, Timing
from bridge.http.upstream import READ_TIMEOUT_S, KnownAnswer
from bridge.store.records import Loaded

KEPT = 100_000  # of some 300 bytes each
READ_MS = round(READ_TIMEOUT_S * 1000)
NOTHING: Mapping[str, Any] = MappingProxyType({})


class UnchangedAnswer(KnownAnswer, frozen=True, kw_only=True, gc=False):
    """An answer that changed nothing about a record (known by its hash); at `until_ms` time alone may bring news.

    Of its reading only what the timeline shows is kept.
    """

    record: int
    until_ms: int


class UnchangedAnswers:
    """Remembers answers by job key, in this process alone: another one may have other words in its tables."""

    def __init__(self) -> None:
        self._kept: dict[str, UnchangedAnswer] = {}
        self._shared: dict[tuple[str, tuple[str, ...], Timing], Observed] = {}

    def keep(self, key: str, job: Loaded[Job], seen: Observed, *, digest: bytes, until_ms: int) -> None:
        """Remember an answer that changed nothing."""
        if len(self._kept) >= KEPT:
            self._kept.clear()
            self._shared.clear()
        self._kept[key] = UnchangedAnswer(
            digest=digest, result=self._share(seen.observation), record=hash(job.raw), until_ms=until_ms
        )

    def _share(self, seen: Observation) -> Observed:
        """Give what thousands of jobs say alike as one object."""
        said = (seen.status, seen.unknown, seen.timing)
        if said not in self._shared:
            bare = Observation(
                status=seen.status, ending=None, data=NOTHING, timing=seen.timing, unknown=seen.unknown
            )
            self._shared[said] = Observed(observation=bare)
        return self._shared[said]

    def find(self, key: str, job: Loaded[Job], log: PollLog, *, now_ms: int) -> KnownAnswer | None:
        """Give the answer to a read begun now that would change nothing about these records, if one is known."""
        unchanged = self._kept.get(key)
        if unchanged is None or unchanged.record != hash(job.raw) or unchanged.digest != log.digest:
            return None
        return unchanged if now_ms + READ_MS < unchanged.until_ms else None
