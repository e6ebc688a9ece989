"""Remember for a moment what nobody watches, so that answers about it cost next to nothing."""

import time
from collections.abc import Callable

# A registered job is first read within a second in any case: an answer that is passed over until then is no loss.
MAX_AGE_S = 1.0
MOST = 10_000


class UnwatchedJobs:
    """Accounts that watch no job, and paths of single jobs that nobody watches, as the store said less than a second ago.

    The bound needs no message from whoever registers a job, in this process or another. Beyond `most` entries the oldest
    are forgotten.
    """

    def __init__(
        self,
        *,
        max_age_s: float = MAX_AGE_S,
        most: int = MOST,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a monotonic clock."""
        self._max_age_s = max_age_s
        self._most = most
        self._clock_s = clock_s
        self._asked_s: dict[tuple[str, str], float] = {}

    def now_s(self) -> float:
        """Return the time at which the store is about to be asked, for `note`."""
        return self._clock_s()

    def has(self, account: str, path: str) -> bool:
        """Return whether an answer about a path shows no job that the account watches."""
        least_s = self._clock_s() - self._max_age_s
        return any(self._asked_s.get(each, least_s) > least_s for each in ((account, ""), (account, path)))

    def note(self, account: str, path: str = "", *, asked_s: float) -> None:
        """Record that nobody watched the job of a path when the store was asked; without a path, any job at all."""
        self._asked_s.pop((account, path), None)
        self._asked_s[account, path] = asked_s
        if len(self._asked_s) > self._most:
            del self._asked_s[next(iter(self._asked_s))]
