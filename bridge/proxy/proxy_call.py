"""A proxied request: what is asked, by whom, with which credential."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.http.client.response_head import Field
from bridge.http.upstream import Login
from bridge.store.tables.accounts import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a proxied request: a project, the account it uses, and what its `key` may do.

    `is_own_key`: the key is an upstream credential of the caller's own. Of a call without a key, which needs none, project,
    account and credential are empty.
    """

    project: str
    account: Account
    scopes: frozenset[str]
    login: Login
    key: str = field(repr=False)
    is_own_key: bool = False

    @property
    def has_account(self) -> bool:
        """Whether an account's credential goes with the request."""
        return bool(self.account.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCall:
    """One request behind a provider's prefix.

    `target` is the path and query as they were sent and go on, `path` the path decoded once, for rules only. `fields`
    are the request's headers as they came. `began_ms` is when it was forwarded, in the store's milliseconds.
    `is_intercepted`: what it says about callbacks is for the bridge, and not for the provider.
    """

    caller: Caller
    method: str
    target: str
    path: str
    fields: Sequence[Field] = field(repr=False)
    began_ms: int
    is_intercepted: bool = True

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.caller.login.provider
