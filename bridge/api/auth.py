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
from bridge.errors import Forbidden, RateLimited, Unauthorized, ValidationFailed
from bridge.services.accounts.passthrough import Passthrough, find_provider
from bridge.store.tables.apikeys import ApiKey, ApiKeys

QUERY_FIELD = "api_key"
MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A key as a request carries it; `in_query` when it is part of the URL, which proxies and browsers log.

    `has_rival`: another header holds another key.
    """

    text: str
    in_query: bool = False
    has_rival: bool = False


def read_key(request: web.BaseRequest) -> Presented:
    """Return the request's key; raise Unauthorized without one.

    The places, in this order: Bearer, X-API-Key, Basic, `?api_key=`. Basic may be the login of a proxy in front of us.
    """
    authorization = request.headers.get("Authorization", "")
    found = (
        read_authorization(authorization),
        read_key_text(request.headers.get("X-API-Key", "")),
        read_basic(authorization),
    )
    for text in found:
        if text:
            return Presented(text=text, has_rival=len({*found} - {""}) > 1)
    if text := read_key_text(request.query.get(QUERY_FIELD, "")):
        return Presented(text=text, in_query=True)
    raise Unauthorized(explain_missing(authorization))


class Authenticator:
    """Look up API keys, and limit the rate of requests and of wrong keys. Rates are counted per process."""

    def __init__(
        self,
        keys: ApiKeys,
        *,
        passthrough: Passthrough | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the store's keys, what logs callers in by upstream keys if anything does, and a monotonic clock."""
        self._keys = keys
        self._passthrough = passthrough
        self._unknown = RateLimiter(burst=10, per_second=10 / 60, clock_s=clock_s)
        self._all_unknown = RateLimiter(burst=60, per_second=1, clock_s=clock_s)
        self._failures = RateLimiter(burst=30, per_second=0.5, clock_s=clock_s)
        self._requests = RateLimiter(burst=10_000, per_second=1_000, clock_s=clock_s)
        self._tests = RateLimiter(burst=10, per_second=0.2, clock_s=clock_s)

    async def authenticate(self, presented: Presented, client: Callable[[], str]) -> ApiKey:
        """Return the key's record; raise RateLimited when its project sent too many requests, and as `find_key` does."""
        key = await self.find_key(presented, client)
        if wait_s := self._requests.take(key.project):
            raise RateLimited(wait_s)
        return key

    async def find_key(self, presented: Presented, client: Callable[[], str]) -> ApiKey:
        """Return the key's record.

        Raise Unauthorized for a wrong key, RateLimited when the client, whose address `client` returns, sent too many.
        """
        key = await self._log_in(presented, client)
        if key is None and len(presented.text) <= MAX_KEY_CHARS:
            key = await self._keys.find_valid(presented.text)
        if key is None:
            # Only wrong keys are limited, since a valid one behind the same address must still be accepted.
            if wait_s := self._failures.take(client()):
                raise RateLimited(wait_s, "too many requests with a wrong API key: correct it, then wait")
            raise Unauthorized(explain_wrong(presented.text, passthrough=self._passthrough is not None))
        return key

    async def _log_in(self, presented: Presented, client: Callable[[], str]) -> ApiKey | None:
        """Return what a caller's own upstream key may do, None where such keys do not count; one in a URL never does."""
        if self._passthrough is None or presented.in_query or find_provider(presented.text) is None:
            return None
        if presented.has_rival:
            raise ValidationFailed("X-API-Key", "Authorization holds another key: send one of them")
        return await self._passthrough.log_in(presented.text, lambda: self._admit_unknown(client()))

    def _admit_unknown(self, client: str) -> None:
        """Count an upstream key that no account has; raise RateLimited after too many.

        So that nobody tries stolen keys through the bridge, or has its address blocked at the provider.
        """
        wait_s = self._unknown.take(client) or self._all_unknown.take("")
        if wait_s:
            raise RateLimited(wait_s, "too many upstream keys that are new here: wait, then repeat this one")

    def note_refusal(self, credential: str) -> None:
        """Forget a caller's own upstream key that its provider has just refused."""
        if self._passthrough is not None:
            self._passthrough.note_refusal(credential)

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
