"""Accounts whose due jobs need more requests than their budgets grant."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.polling.rate_limit import Grant

BACKLOG_MS = 500  # an account is behind while what is due takes longer than this at the pace of its budget
REMEMBERED_S = 30.0  # and for so long afterwards, because one claim may see only a few of many jobs


class Backlog:
    """The accounts that are behind; only their jobs have to be compared with each other."""

    def __init__(self, *, clock_ms: Callable[[], int], scale: TimeScale) -> None:
        self._clock_ms = clock_ms
        self._scale = scale
        self._ms_per_request: dict[str, float] = {}
        self._until_ms: dict[str, int] = {}

    def __contains__(self, account: str) -> bool:
        """Return whether an account is behind, or was so a moment ago."""
        return account in self._ms_per_request

    def among(self, accounts: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of some accounts that are behind."""
        return accounts & self._ms_per_request.keys()

    def ms_per_request(self, account: str) -> float:
        """Return the time between two requests that an account's budget allows, 0 for one that is not behind."""
        return self._ms_per_request.get(account, 0.0)

    def note(self, account: str, grant: Grant, *, needed: int) -> None:
        """Record what a budget granted when `needed` requests were wanted."""
        now_ms = self._clock_ms()
        if grant.wait_ms and grant.ms_per_request * needed >= BACKLOG_MS:
            self._ms_per_request[account] = grant.ms_per_request
            self._until_ms[account] = now_ms + self._scale.ms(REMEMBERED_S)
        elif now_ms >= self._until_ms.get(account, 0):
            self._ms_per_request.pop(account, None)
            self._until_ms.pop(account, None)
