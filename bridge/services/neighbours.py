"""Which watched jobs share a list, as this worker has met them lately: one that is due speaks for all on its page."""

import time
from collections.abc import Callable

KEPT_S = 60.0  # a job that waits for its turn is met every few seconds
PRUNED_S = 5.0  # how often those that were not met any more are looked for
MOST_LISTS = 10_000


class Neighbours:
    """Jobs by account and list."""

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._met: dict[tuple[str, str], dict[str, float]] = {}
        self._pruned: dict[tuple[str, str], float] = {}

    def meet(self, account: str, name: str, key: str) -> None:
        """Note that a list shows a job, or would."""
        if (account, name) not in self._met and len(self._met) >= MOST_LISTS:
            self._met.clear()
            self._pruned.clear()
        self._met.setdefault((account, name), {})[key] = self._clock_s()

    def count(self, account: str, name: str) -> int:
        """Count the jobs met on a list lately."""
        place, now_s = (account, name), self._clock_s()
        met = self._met.get(place)
        if met is None:
            return 0
        if now_s - self._pruned.get(place, 0.0) >= PRUNED_S:
            self._pruned[place] = now_s
            for key in [key for key, at in met.items() if at < now_s - KEPT_S]:
                del met[key]
        return len(met)
