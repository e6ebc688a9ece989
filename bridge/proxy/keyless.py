"""Let calls without any key through that make or open a login at a provider, where callers use their own (passthrough)."""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from bridge.api.rate_limiter import RateLimiter
from bridge.api.requests.content_coding import too_large
from bridge.api.requests.key_text import PREFIX
from bridge.api.routing import Api
from bridge.errors import RateLimited, ValidationFailed
from bridge.http.upstream import Login
from bridge.providers.registry import PROVIDERS
from bridge.proxy.proxy_call import Caller
from bridge.proxy.target import Target
from bridge.store.tables.accounts import Account

CALLS_A_MINUTE: Final = 5
BODY_BYTES: Final = 64 * 1024
_KEY_HEADERS: Final = ("Authorization", "X-API-Key")


class KeylessCalls:
    """Calls without a key, at most five a minute from an address, each with a small body; counted per process."""

    def __init__(self, api: Api, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Take a monotonic clock."""
        self._api = api
        self._calls = RateLimiter(
            burst=CALLS_A_MINUTE, per_second=CALLS_A_MINUTE / 60, clock_s=clock_s, max_buckets=10_000
        )

    def find_caller(self, request: web.BaseRequest, target: Target) -> Caller | None:
        """Return a caller without account or credential, None for a call that needs a key.

        Raise RateLimited, PayloadTooLarge, or ValidationFailed for a key in the URL, which would go to the provider.
        """
        if not self._api.services.settings.passthrough or not _needs_no_key(request, target):
            return None
        if PREFIX in target.tail:
            raise ValidationFailed("query", "a key of the bridge belongs into a header only")
        if request.body_exists and (request.content_length is None or request.content_length > BODY_BYTES):
            raise too_large(BODY_BYTES)
        if wait_s := self._calls.take(self._api.forwarding.client(request)):
            raise RateLimited(wait_s, "too many requests without a key: wait, then repeat this one")
        base_url = self._api.services.settings.upstream_url(target.provider)
        return Caller(
            project="",
            account=Account(id="", project="", provider=target.provider, name="", created_ms=0),
            scopes=frozenset(),
            login=Login(provider=target.provider, base_url=base_url, credential=""),
            key="",
        )


def _needs_no_key(request: web.BaseRequest, target: Target) -> bool:
    """Return whether a call has no key and needs none. A preflight is no such call: no page of a browser calls the proxy."""
    beginnings = PROVIDERS[target.provider].keyless_paths
    has_key = any(name in request.headers for name in _KEY_HEADERS)
    return not has_key and request.method != "OPTIONS" and target.tail.startswith(beginnings)
