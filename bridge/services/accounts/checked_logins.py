"""What providers said of callers' credentials, kept in memory for a while."""

from collections import OrderedDict
from typing import NamedTuple

from bridge.store.tables.accounts import Account

MOST = 10_000


class CredentialHolder(NamedTuple):
    """The account that has a credential, and whether its project was made for the caller who logged in with it."""

    account: Account
    is_guest: bool


class CheckedLogins:
    """Holders by the fingerprints of their credentials, each until a time; the oldest are dropped first."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, tuple[float, CredentialHolder | None]] = OrderedDict()

    def get(self, fingerprint: bytes, now_s: float) -> CredentialHolder | None:
        """Return a holder, None if none is known now."""
        until_s, holder = self._until.get(fingerprint, (0.0, None))
        return holder if now_s < until_s else None

    def has(self, fingerprint: bytes, now_s: float) -> bool:
        """Return whether something is known of a credential, be it without a holder."""
        return now_s < self._until.get(fingerprint, (0.0, None))[0]

    def keep(self, fingerprint: bytes, until_s: float, holder: CredentialHolder | None = None) -> None:
        """Keep what was said of a credential until a time."""
        self._until[fingerprint] = (until_s, holder)
        self._until.move_to_end(fingerprint)
        if len(self._until) > MOST:
            self._until.popitem(last=False)

    def forget(self, fingerprint: bytes) -> None:
        """Forget a credential."""
        self._until.pop(fingerprint, None)
