"""Which watched jobs share a list, as this worker has met them lately: one that is due speaks for all on its page."""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

KEPT_S = 300.0  # a job that waits for its turn is met far more often
PRUNED_S = 5.0  # how often those that were not met any more are looked for
MOST_LISTS = 10_000
# Pages on which a job was not found before it is read by itself, whatever the list's places say.
MOST_LOOKS = 3
LOST_S = 60.0  # then it is looked for again
MOST_LOST = 50_000

Place = tuple[str, str]


class ListMembership:
    """Jobs, by the upstream's ids, by account and list."""

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._met: dict[Place, dict[str, float]] = {}
        self._pruned: dict[Place, float] = {}
        self._lost: dict[tuple[str, str, str], tuple[int, float]] = {}

    def meet(self, account: str, name: str, job_id: str) -> None:
        """Note that a list shows a job, or would."""
        if (account, name) not in self._met and len(self._met) >= MOST_LISTS:
            self._met.clear()
            self._pruned.clear()
        self._met.setdefault((account, name), {})[job_id] = self._clock_s()

    def count(self, account: str, name: str) -> int:
        """Count the jobs met on a list lately."""
        return len(self.ids(account, name))

    def ids(self, account: str, name: str) -> AbstractSet[str]:
        """Give the jobs met on a list lately."""
        place, now_s = (account, name), self._clock_s()
        met = self._met.get(place)
        if met is None:
            return frozenset()
        if now_s - self._pruned.get(place, 0.0) >= PRUNED_S:
            self._pruned[place] = now_s
            for job_id in [job_id for job_id, at in met.items() if at < now_s - KEPT_S]:
                del met[job_id]
        return met.keys()

    def lose(self, account: str, name: str, job_id: str, *, looks: int = 1) -> None:
        """Note that a page did not show a job that it should."""
        if len(self._lost) >= MOST_LOST:
            self._lost.clear()
        before, _ = self._lost.get((account, name, job_id), (0, 0.0))
        self._lost[account, name, job_id] = (before + looks, self._clock_s())

    def find(self, account: str, name: str, job_id: str) -> None:
        """Note that a page showed a job."""
        self._lost.pop((account, name, job_id), None)

    def is_lost(self, account: str, name: str, job_id: str) -> bool:
        """Say whether a job was looked for in vain often enough, and lately."""
        looks, at_s = self._lost.get((account, name, job_id), (0, 0.0))
        if looks and self._clock_s() - at_s >= LOST_S:
            self.find(account, name, job_id)
            return False
        return looks >= MOST_LOOKS
