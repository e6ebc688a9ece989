"""Who is signed in: a random cookie that stands for an API key, and the tokens of the forms of its pages."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bridge.api.rate_limiter import RateLimiter
from bridge.api.requests.forwarded import Forwarding
from bridge.api.requests.key_text import read_key_text
from bridge.domain.counts import say_count
from bridge.errors import Forbidden, RateLimited, Unauthorized
from bridge.store.store import Store
from bridge.store.tables.apikeys import ApiKey, digest_key

COOKIE: Final = "reelbridge"
SECURE_COOKIE: Final = "__Host-reelbridge"  # a browser takes it over https only, and from this host alone
TOKEN_CHARS: Final = 64
TRIES: Final = 10  # a minute and address
WRONG: Final = "That key is not known here, or was revoked."


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session with the key behind it; `digest` is the hash under which the store has it."""

    key: ApiKey
    digest: str
    form_token: str


class Sessions:
    """Opens, finds and closes sessions; wrong keys are limited by address, in each process."""

    def __init__(
        self, store: Store, forwarding: Forwarding, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the store, and what knows the addresses of clients."""
        self._store = store
        self._forwarding = forwarding
        self._tries = RateLimiter(burst=TRIES, per_second=TRIES / 60, clock_s=clock_s)

    async def find(self, request: web.Request) -> SignedIn | None:
        """Return who is signed in, None without a session or once its key was revoked."""
        token = request.cookies.get(self._cookie(request), "")
        if len(token) != TOKEN_CHARS or not token.isascii():
            return None
        digest = _digest(token)
        session = await self._store.dashboard.find_session(digest)
        key = None if session is None else await self._store.apikeys.find_by_digest(session.key)
        return None if key is None else SignedIn(key=key, digest=digest, form_token=make_form_token(token))

    async def sign_in(self, request: web.Request, text: str) -> tuple[ApiKey, str]:
        """Return the key with this text and a new session's cookie value.

        Raise Unauthorized for a wrong key, RateLimited after too many from one address, Forbidden for a key that may see
        nothing here.
        """
        address = self._forwarding.client(request)
        if wait_s := self._tries.wait_s(address):
            raise RateLimited(wait_s, f"Too many wrong keys: wait {say_count(round(wait_s), 'second')}.")
        plain = read_key_text(text[:400])
        key = await self._store.apikeys.find_valid(plain) if plain else None
        if key is None:
            self._tries.take(address)
            raise Unauthorized(WRONG)
        if not key.scopes - {"proxy"}:
            raise Forbidden("This key is for the proxy alone: the dashboard needs one with the scope read.")
        token = secrets.token_hex(TOKEN_CHARS // 2)
        await self._store.dashboard.open_session(_digest(token), digest_key(plain))
        return key, token

    def set_cookie(self, request: web.Request, response: web.StreamResponse, token: str) -> None:
        """Let the browser keep a session until it is closed."""
        secure = self._is_secure(request)
        response.set_cookie(
            self._cookie(request), token, path="/", httponly=True, samesite="Strict", secure=secure
        )

    async def sign_out(self, request: web.Request, response: web.StreamResponse, session: SignedIn) -> None:
        """End a session."""
        await self._store.dashboard.close_session(session.digest)
        secure = self._is_secure(request)
        response.del_cookie(self._cookie(request), path="/", httponly=True, samesite="Strict", secure=secure)

    def _is_secure(self, request: web.Request) -> bool:
        return self._forwarding.base_url(request).startswith("https://")

    def _cookie(self, request: web.Request) -> str:
        return SECURE_COOKIE if self._is_secure(request) else COOKIE


def make_form_token(token: str) -> str:
    """Return the token that the forms of a session carry; it cannot be had without the cookie."""
    return hmac.new(token.encode(), b"reelbridge form", "sha256").hexdigest()


def check_origin(request: web.Request) -> None:
    """Raise Forbidden for a form that another site sent.

    Browsers name the site in `Sec-Fetch-Site` on https and on loopback. `Origin` is "null" there under our
    Referrer-Policy, and says something only from elsewhere.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "null")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = origin == "null" or origin.partition("://")[2] == request.host
    if not is_own:
        raise Forbidden("This form came from another site: open the page here and send it again.")


def check_form_token(session: SignedIn, sent: str) -> None:
    """Raise Forbidden for a form without the session's token."""
    if not hmac.compare_digest(session.form_token.encode(), sent.encode("utf-8", "replace")):
        raise Forbidden("This form is out of date: reload the page and send it again.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
