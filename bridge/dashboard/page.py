"""What a page is: who asks, for what, and what is shown."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.api.routing import Api
from bridge.errors import Forbidden
from bridge.services.context import Services
from bridge.store.tables.apikeys import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of somebody who is signed in. `url` is the page's path with its query, `base_url` the bridge's own.

    `form` are the fields of a form that was sent; of a field that came more than once the last one.
    """

    api: Api
    key: ApiKey
    path: Mapping[str, str]
    query: Mapping[str, str]
    url: str
    base_url: str
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        """Settings, store, HTTP clients and clock of this process."""
        return self.api.services

    @property
    def project(self) -> str:
        """Id of the project that is signed in to."""
        return self.key.project

    def can(self, scope: str) -> bool:
        """Whether the key has a scope."""
        return scope in self.key.scopes

    def need(self, scope: str) -> None:
        """Raise Forbidden unless the key has a scope."""
        if not self.can(scope):
            raise Forbidden(f"this needs a key with the scope {scope}: sign in with another key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a form led to: where to go, and a sentence about it."""

    to: str
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page's template with the values that it shows.

    Of a form's answer that is not to be kept, `again` is what the same form leads to when it is sent a second time; None: it
    is done again.
    """

    title: str
    template: str
    values: Mapping[str, Any]
    status: int = 200
    again: Done | None = None


Read = Callable[[Visit], Awaitable[View]]
Act = Callable[[Visit], Awaitable[Done | View]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardPage:
    """A page at a path, which a key with one of the scopes may see."""

    path: str
    read: Read
    scopes: frozenset[str] = frozenset({"read"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A form that is sent to a path, which takes a key with this scope."""

    path: str
    act: Act
    scope: str
