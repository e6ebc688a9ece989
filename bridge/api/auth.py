"""Authentication by API key, and the check of a key's scopes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bridge.api.rate_limiter import RateLimiter
from bridge.api.requests.key_text import (
    explain_missing,
    explain_wrong,
    read_authorization,
    read_basic,
    read_key_text,
)
from bridge.errors import Forbidden, RateLimited, Unauthorized
from bridge.store.tables.apikeys import ApiKey, ApiKeys

QUERY_FIELD = "api_key"
MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A key as a request carries it; `in_query` when it is part of the URL, which proxies and browsers log."""

    text: str
    in_query: bool = False


def read_key(request: web.BaseRequest) -> Presented:
    """Return the request's key; raise Unauthorized without one.

    The places, in this order: Bearer, X-API-Key, Basic, `?api_key=`. Basic may be the login of a proxy in front of us.
    """
    authorization = request.headers.get("Authorization", "")
    for text in (
        read_authorization(authorization),
        read_key_text(request.headers.get("X-API-Key", "")),
        read_basic(authorization),
    ):
        if text:
            return Presented(text=text)
    if text := read_key_text(request.query.get(QUERY_FIELD, "")):
        return Presented(text=text, in_query=True)
    raise Unauthorized(explain_missing(authorization))


class Authenticator:
    """Look up API keys, and limit the rate of requests and of wrong keys. Rates are counted per process."""

    def __init__(self, keys: ApiKeys, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Take the store's keys and a monotonic clock."""
        self._keys = keys
        self._failures = RateLimiter(burst=30, per_second=0.5, clock_s=clock_s)
        self._requests = RateLimiter(burst=10_000, per_second=1_000, clock_s=clock_s)
        self._tests = RateLimiter(burst=10, per_second=0.2, clock_s=clock_s)

    async def authenticate(self, presented: Presented, client: Callable[[], str]) -> ApiKey:
        """Return the key's record.

        Raise Unauthorized for a wrong key, RateLimited when the client, whose address `client` returns, sent too many
        wrong keys, or the key's project too many requests.
        """
        key = await self._keys.find_valid(presented.text) if len(presented.text) <= MAX_KEY_CHARS else None
        if key is None:
            # Only wrong keys are limited, since a valid one behind the same address must still be accepted.
            if wait_s := self._failures.take(client()):
                raise RateLimited(wait_s, "too many requests with a wrong API key: correct it, then wait")
            raise Unauthorized(explain_wrong(presented.text))
        if wait_s := self._requests.take(key.project):
            raise RateLimited(wait_s)
        return key

    def take_test(self, project: str) -> None:
        """Count a test delivery of the project; raise RateLimited after too many."""
        if wait_s := self._tests.take(project):
            raise RateLimited(wait_s, "too many test deliveries: wait, then repeat this one")


def check_scope(key: ApiKey, scope: str | None, presented: Presented, *, by_query: bool) -> None:
    """Raise Forbidden unless the key has the scope.

    A key in the URL is accepted only by operations that allow it (`by_query`), because URLs end up in logs.
    """
    if presented.in_query and not by_query:
        raise Forbidden("a key in the URL may only register and read state here: send it as a header")
    if scope is not None and scope not in key.scopes:
        raise Forbidden(
            f"this key lacks the scope {scope}: use another key, or make one with POST /v1/keys",
            details={"scope": scope},
        )
