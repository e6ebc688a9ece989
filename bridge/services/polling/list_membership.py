"""Which watched jobs a list shows, as far as this worker knows: a page asked for one of them shows the others too."""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

MEMBER_S = 300.0  # a job that was not seen for so long is removed; one that waits for a request is seen far more often
PRUNE_EVERY_S = 5.0
MAX_LISTS = 10_000
# Pages on which a job was not found before it is read by itself.
MAX_MISSES = 3
MISSING_S = 60.0  # after so long it is looked for on pages again
MAX_MISSING = 50_000

Place = tuple[str, str]


class ListMembership:
    """The jobs (ids at the provider) of each list, by account and name of the list."""

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._members: dict[Place, dict[str, float]] = {}
        self._pruned_s: dict[Place, float] = {}
        self._missing: dict[tuple[str, str, str], tuple[int, float]] = {}

    def add(self, account: str, name: str, job_id: str) -> None:
        """Record that a list shows a job, or should."""
        if (account, name) not in self._members and len(self._members) >= MAX_LISTS:
            self._members.clear()
            self._pruned_s.clear()
        self._members.setdefault((account, name), {})[job_id] = self._clock_s()

    def count(self, account: str, name: str) -> int:
        """Return how many jobs of a list were seen lately."""
        return len(self.ids(account, name))

    def ids(self, account: str, name: str) -> AbstractSet[str]:
        """Return the ids of a list's jobs that were seen lately."""
        place, now_s = (account, name), self._clock_s()
        members = self._members.get(place)
        if members is None:
            return frozenset()
        if now_s - self._pruned_s.get(place, 0.0) >= PRUNE_EVERY_S:
            self._pruned_s[place] = now_s
            for job_id in [job_id for job_id, at_s in members.items() if at_s < now_s - MEMBER_S]:
                del members[job_id]
        return members.keys()

    def note_missing(self, account: str, name: str, job_id: str, *, misses: int = 1) -> None:
        """Record that a page did not show a job that it should have shown."""
        if len(self._missing) >= MAX_MISSING:
            self._missing.clear()
        before, _ = self._missing.get((account, name, job_id), (0, 0.0))
        self._missing[account, name, job_id] = (before + misses, self._clock_s())

    def note_shown(self, account: str, name: str, job_id: str) -> None:
        """Record that a page showed a job."""
        self.add(account, name, job_id)
        self._missing.pop((account, name, job_id), None)

    def is_missing(self, account: str, name: str, job_id: str) -> bool:
        """Return whether a job was looked for in vain so often lately that it must be read by itself."""
        misses, at_s = self._missing.get((account, name, job_id), (0, 0.0))
        if misses and self._clock_s() - at_s >= MISSING_S:
            del self._missing[account, name, job_id]
            return False
        return misses >= MAX_MISSES
