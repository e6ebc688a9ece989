"""Opened credentials, kept while their version stands."""

from bridge.http.upstream import Login
from bridge.services.context import Services

KEPT = 1000


class Credentials:
    """Credentials by account; a replaced one has another version and is opened anew."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._open: dict[str, tuple[int, Login]] = {}

    async def get(self, account_id: str, version: int) -> Login:
        """Give the login of an account in its version; KeyError for an account that is gone."""
        known = self._open.get(account_id)
        if known is not None and known[0] == version:
            return known[1]
        account = await self._services.store.accounts.get(account_id)
        if account is None:
            raise KeyError(account_id)
        login = await self._services.login(account)
        if len(self._open) >= KEPT:
            self._open.clear()
        self._open[account_id] = (version, login)
        return login
