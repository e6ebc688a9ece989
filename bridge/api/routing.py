"""Routes as data: a decorator keeps path, scope, fields and answers beside the handler, for the server and for OpenAPI."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from bridge.api.auth import QUERY_FIELD, Authenticator, Presented
from bridge.api.requests.bodies import Fields, read_fields
from bridge.api.requests.callback_request import present, read_model
from bridge.api.requests.forwarded import Forwarding
from bridge.api.responses.metrics import Metrics
from bridge.services.context import Services
from bridge.store.tables.apikeys import ApiKey

ANY_SCOPE = "any"

Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[["ApiCall"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What all handlers of a process share."""

    services: Services
    gate: Authenticator
    forwarding: Forwarding
    metrics: Metrics
    stopping: asyncio.Event


API: web.AppKey[Api] = web.AppKey("api", Api)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request that was let in."""

    request: web.Request
    api: Api
    key: ApiKey
    presented: Presented

    @property
    def services(self) -> Services:
        """The process's tools."""
        return self.api.services

    @property
    def project(self) -> str:
        """The key's project: nothing of another one is visible."""
        return self.key.project

    @property
    def shows_secrets(self) -> bool:
        """Whether whole callback URLs may be shown: a key that manages, and that is no part of the URL."""
        return "manage" in self.key.scopes and not self.presented.in_query

    def path(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    def query(self, model: type[Model]) -> Model:
        """The query's fields, checked; of a repeated one the last counts."""
        return read_model(model, present(dict(self.query_pairs())))

    def query_pairs(self) -> list[tuple[str, str]]:
        """The query without a key in it."""
        return [(name, value) for name, value in self.request.query.items() if name != QUERY_FIELD]

    async def fields(self) -> Fields:
        """The body's fields, in whatever dialect."""
        return read_fields(
            await self.request.read(), self.request.headers.get("Content-Type", ""), self.query_pairs()
        )

    async def body(self, model: type[Model]) -> Model:
        """The body's fields, checked."""
        return read_model(model, present((await self.fields()).values))

    def link(self, path: str) -> str:
        """An absolute link to a path of this API."""
        return self.api.forwarding.base_url(self.request) + path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One operation. `scope` None: open to all, ANY_SCOPE: any key; `by_query`: a key in the URL will do."""

    method: str
    path: str
    handler: Any
    name: str
    summary: str
    tag: str
    scope: str | None
    by_query: bool = False
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    lenient: bool = False
    answers: Mapping[int, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


class Routes:
    """A list of routes under one heading, filled by its decorator."""

    def __init__(self, tag: str) -> None:
        """Take the heading."""
        self.tag = tag
        self.all: list[Route] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        answers: Mapping[int, Any],
        errors: tuple[int, ...] = (),
        query: type[BaseModel] | None = None,
        body: type[BaseModel] | None = None,
        lenient: bool = False,
        by_query: bool | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a handler; its docstring's first line is the operation's summary.

        `lenient`: the body comes in any dialect. `by_query` is by default what a key in the URL may do: read.
        """

        def keep(handler: Handler) -> Handler:
            self.all.append(
                Route(
                    method=method,
                    path=path,
                    handler=handler,
                    name=handler.__name__,
                    summary=(handler.__doc__ or "").partition("\n")[0].rstrip("."),
                    tag=self.tag,
                    scope=scope,
                    by_query=(method == "GET" and scope == "read") if by_query is None else by_query,
                    query=query,
                    body=body,
                    lenient=lenient,
                    answers=answers,
                    errors=errors,
                )
            )
            return handler

        return keep
