"""Accounts whose due jobs need more requests than their budgets grant."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.polling.rate_limit import Grant

BACKLOG_MS = 500  # an account is behind while what is due takes longer than this at the pace of its budget
REMEMBERED_S = 30.0  # and for so long afterwards: a claim may come when only a few of many jobs are due


class Backlog:
    """Remembers which accounts are behind: only their jobs have to be weighed against each other."""

    def __init__(self, *, clock_ms: Callable[[], int], scale: TimeScale) -> None:
        self._clock_ms = clock_ms
        self._scale = scale
        self._ms_per_request: dict[str, float] = {}
        self._until_ms: dict[str, int] = {}

    def __contains__(self, account: str) -> bool:
        """Return whether an account is behind, or was so lately."""
        return account in self._ms_per_request

    def among(self, accounts: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of some accounts that are behind."""
        return accounts & self._ms_per_request.keys()

    def ms_per_request(self, account: str) -> float:
        """Return how long a request takes at the pace of an account's budget, 0 for one that is not behind."""
        return self._ms_per_request.get(account, 0.0)

    def note(self, account: str, grant: Grant, *, needed: int) -> None:
        """Note what a budget granted of the `needed` requests."""
        now_ms = self._clock_ms()
        if grant.wait_ms and grant.ms_per_request * needed >= BACKLOG_MS:
            self._ms_per_request[account] = grant.ms_per_request
            self._until_ms[account] = now_ms + self._scale.ms(REMEMBERED_S)
        elif now_ms >= self._until_ms.get(account, 0):
            self._ms_per_request.pop(account, None)
            self._until_ms.pop(account, None)
