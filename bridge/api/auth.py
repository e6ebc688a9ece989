"""Who may do what: the key is found in the request, looked up, and its scopes compared."""

import base64
import binascii
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bridge.api.rate_limiter import RateLimiter
from bridge.errors import Forbidden, RateLimited, Unauthorized
from bridge.store.tables.apikeys import ApiKey, ApiKeys

QUERY_FIELD = "api_key"
LONGEST_KEY = 200
KNOWN_KEYS = 10_000
HINT = "send a key as `Authorization: Bearer brk_…` or `X-API-Key: brk_…`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A key as a request carries it; `in_query` when it stands in the URL, where others may read it."""

    text: str
    in_query: bool = False


def read_key(request: web.BaseRequest) -> Presented | None:
    """Find the key: Bearer, X-API-Key, Basic (as user name, or as password), then ?api_key=; None: there is none."""
    scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.casefold() == "bearer" and value.strip():
        return Presented(text=value.strip())
    if header := request.headers.get("X-API-Key", "").strip():
        return Presented(text=header)
    if scheme.casefold() == "basic" and (text := _read_basic(value.strip())):
        return Presented(text=text)
    if text := request.query.get(QUERY_FIELD, "").strip():
        return Presented(text=text, in_query=True)
    return None


def _read_basic(value: str) -> str:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    return user or password


class Authenticator:
    """Lets good keys through and slows down guessing; counts in this process's memory."""

    def __init__(self, keys: ApiKeys, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Take the store's keys and a monotonic clock."""
        self._keys = keys
        self._failures = RateLimiter(burst=30, per_second=0.5, clock_s=clock_s)
        self._requests = RateLimiter(burst=10_000, per_second=1_000, clock_s=clock_s)
        self._tests = RateLimiter(burst=10, per_second=0.2, clock_s=clock_s)
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def enter(self, presented: Presented | None, client: str) -> ApiKey:
        """Give the key's record; Unauthorized for none or a wrong one, RateLimited for who tries too many."""
        if presented is None:
            raise Unauthorized(f"no API key: {HINT}")
        digest = hashlib.sha256(presented.text.encode("utf-8", "surrogatepass")).digest()
        # Neighbours behind one address must not lock each other out: a key that was good just now is looked up.
        if digest not in self._good and (wait_s := self._failures.wait_s(client)):
            raise RateLimited(wait_s, "too many requests with a wrong API key: correct it, then wait")
        key = await self._keys.find(presented.text) if len(presented.text) <= LONGEST_KEY else None
        if key is None:
            self._good.pop(digest, None)
            self._failures.take(client)
            raise Unauthorized(f"this API key is not known or was revoked: {HINT}")
        self._remember(digest)
        if wait_s := self._requests.take(key.project):
            raise RateLimited(wait_s)
        return key

    def take_test(self, project: str) -> None:
        """Count a test delivery; RateLimited when there were many."""
        if wait_s := self._tests.take(project):
            raise RateLimited(wait_s, "too many test deliveries: wait, then repeat this one")

    def _remember(self, digest: bytes) -> None:
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > KNOWN_KEYS:
            self._good.popitem(last=False)


def check_scope(key: ApiKey, scope: str | None, presented: Presented, *, by_query: bool) -> None:
    """Raise Forbidden unless the key has the scope; a key in the URL is good for little, since logs hold URLs."""
    if presented.in_query and not by_query:
        raise Forbidden("a key in the URL may only register and read state here: send it as a header")
    if scope is not None and scope not in key.scopes:
        raise Forbidden(
            f"this key lacks the scope {scope}: use another key, or make one with POST /v1/keys",
            details={"scope": scope},
        )
