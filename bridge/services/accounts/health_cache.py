"""The health of accounts, kept in memory for a moment."""

import time
from collections.abc import Callable, Iterable

from bridge.store.tables.account_health import AccountHealth, Health

TTL_S = 0.5  # a replaced credential, or a refusal that another worker met, is known by then


class HealthCache:
    """Reads the health of accounts: a good one is kept for half a second, any other is read each time."""

    def __init__(self, health: Health, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._clock_s = clock_s
        self._well: dict[str, tuple[float, AccountHealth]] = {}

    async def load_many(self, accounts: Iterable[str]) -> dict[str, AccountHealth]:
        """Return the health of each account."""
        now_s = self._clock_s()
        wanted = set(accounts)
        found = {name: self._well[name][1] for name in wanted if self._is_fresh(name, now_s)}
        missing = sorted(wanted - found.keys())
        if not missing:
            return found
        for name, health in (await self._health.load_many(missing)).items():
            found[name] = health
            if health.well:
                self._well[name] = (now_s, health)
            else:
                self.forget(name)
        return found

    def forget(self, account: str) -> None:
        """Read an account's health anew next time: something has just been recorded against it."""
        self._well.pop(account, None)

    def _is_fresh(self, account: str, now_s: float) -> bool:
        return account in self._well and now_s - self._well[account][0] < TTL_S
