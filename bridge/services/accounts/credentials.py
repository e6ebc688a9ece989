"""Credentials of accounts in clear, kept in memory until they are replaced."""

from bridge.http.upstream import Login
from bridge.services.context import Services

MAX_KEPT = 1000


class Credentials:
    """Credentials by account; a replaced one has another version and is decrypted anew."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._open: dict[str, tuple[int, Login]] = {}

    async def get(self, account_id: str, version: int) -> Login:
        """Return the login of an account in a version; raise KeyError for an account that is gone."""
        known = self._open.get(account_id)
        if known is not None and known[0] == version:
            return known[1]
        account = await self._services.store.accounts.get(account_id)
        if account is None:
            raise KeyError(account_id)
        login = await self._services.login(account)
        if len(self._open) >= MAX_KEPT:
            self._open.clear()
        self._open[account_id] = (version, login)
        return login
