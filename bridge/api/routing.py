"""Routes as data, collected by a decorator; the server and the OpenAPI document are built from the same list."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from msgspec import Struct
from pydantic import BaseModel

from bridge.api.auth import QUERY_FIELD, Authenticator, Presented
from bridge.api.requests.bodies import Fields, read_fields
from bridge.api.requests.callback_request import present, read_model
from bridge.api.requests.forwarded import Forwarding
from bridge.api.responses.metrics import Metrics
from bridge.api.server import HttpConnection
from bridge.api.waiting.event_stream import StreamTiming
from bridge.api.waiting.feed_news import FeedNews
from bridge.api.waiting.job_waits import JobWaits
from bridge.api.waiting.waiters import Waiters
from bridge.services.context import Services
from bridge.store.tables.apikeys import ApiKey

ANY_SCOPE = "any"
BODY_LIMIT = 256 * 1024  # bytes, decompressed

Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[["ApiCall"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What all handlers of a process share."""

    services: Services
    authenticator: Authenticator
    forwarding: Forwarding
    metrics: Metrics
    long_polls: Waiters
    streams: Waiters
    feed_news: FeedNews
    job_waits: JobWaits
    stream_timing: StreamTiming


API: web.AppKey[Api] = web.AppKey("api", Api)


class ApiCall(Struct, frozen=True, kw_only=True):
    """One authenticated request. `content` is its body without its content coding."""

    request: web.Request
    api: Api
    key: ApiKey
    presented: Presented
    content: bytes

    @property
    def services(self) -> Services:
        """Settings, store, HTTP clients and clock of this process."""
        return self.api.services

    @property
    def project(self) -> str:
        """Id of the key's project; objects of other projects must stay invisible."""
        return self.key.project

    @property
    def shows_secrets(self) -> bool:
        """Whether callback URLs are shown in full: to keys with the scope manage that are not part of the URL."""
        return "manage" in self.key.scopes and not self.presented.in_query

    @property
    def connection(self) -> HttpConnection:
        """The connection of the client."""
        assert isinstance(self.request.protocol, HttpConnection), "the server makes no others"
        return self.request.protocol

    def path(self, name: str) -> str:
        """Return a variable part of the path."""
        return self.request.match_info[name]

    def query(self, model: type[Model]) -> Model:
        """Return the query as a checked model; the last one of a repeated parameter counts."""
        return read_model(model, present(dict(self.query_pairs())))

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the query's parameters without the API key."""
        return [(name, value) for name, value in self.request.query.items() if name != QUERY_FIELD]

    async def fields(self) -> Fields:
        """Return the fields of the body, be it JSON, a form or multipart, and of the query."""
        return read_fields(self.content, self.request.headers.get("Content-Type", ""), self.query_pairs())

    async def body(self, model: type[Model]) -> Model:
        """Return the body as a checked model."""
        return read_model(model, present((await self.fields()).values))

    def link(self, path: str) -> str:
        """Return the absolute URL of a path of this API."""
        return self.api.forwarding.base_url(self.request) + path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One operation of the API.

    `scope` is what a key needs: None for no key at all, ANY_SCOPE for any key. `by_query`: the key may be in the URL.
    `lenient`: the body may also be a form or multipart. `answers` are models by status, or content types, None for a redirect.
    """

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
    body_limit: int = BODY_LIMIT
    lenient: bool = False
    answers: Mapping[int, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


class Routes:
    """Routes under one heading (an OpenAPI tag), filled by the decorator `add`."""

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
        body_limit: int = BODY_LIMIT,
        lenient: bool = False,
        by_query: bool | None = None,
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that adds a handler; the first line of its docstring becomes the operation's summary.

        By default a key in the URL may do GET operations that need the scope read. See `Route` for the parameters.
        """

        def register(handler: Handler) -> Handler:
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
                    body_limit=body_limit,
                    lenient=lenient,
                    answers=answers,
                    errors=errors,
                )
            )
            return handler

        return register
