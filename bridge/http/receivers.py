"""Send one signed POST to a receiver and return its outcome."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from bridge.domain.deliveries.retry import (
    EXCERPT_CHARACTERS,
    ReceiverAnswer,
    explain_status,
    read_retry_after,
)
from bridge.domain.urls.policy import MAX_URL_CHARACTERS, CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.http.body import BodyEnding, CappedBody, read_capped, take_whole
from bridge.http.client.client_errors import BodyError, NotConnected, UnansweredError
from bridge.http.client.connector import Connector
from bridge.http.client.http_client import HttpClient
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.lookups import AddressLookup, RememberingLookup, SystemAddressLookup
from bridge.http.failures import explain_failure
from bridge.http.ssrf_guard import GuardedLookup, guard_sockets

MAX_BODY_BYTES = 16 * 1024
MAX_WIRE_BYTES = 64 * 1024  # also limits compressed bytes that decompress to nothing
LOOKUP_TTL_S = 10.0
ORIGIN_CACHE_SIZE = 1024
MIN_SECRET_CHARACTERS = 6
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# A URL that the check would not change after the authority: no fragment, nothing to escape, nothing to refuse.
_PLAIN = re.compile(r"([a-z]+://[^/?#]+)(/[!-\"$-\[\]-~]*)")
_NOT_SECRET = ("webhook-", "user-agent", "content-")
_NOTES = {
    BodyEnding.WHOLE: "",
    BodyEnding.CUT: "its body was cut after 16 KB",
    BodyEnding.BROKE_OFF: "its compressed body broke off",
    BodyEnding.OTHER_CODING: "its body came in a coding that was not asked for",
    BodyEnding.NOT_AS_CODED: "its body is not in the coding that it names",
    BodyEnding.GOES_ON: "its body goes on behind its compressed part",
}


class Sender:
    """An HTTP client for receivers: guarded addresses, no redirects, no cookies, no proxy, bounded responses.

    `resolver` looks names up (see `lookups.AddressLookup`; by default the system's). Call `start` inside the event loop
    and `close` at the end. `clock` returns seconds for durations, `now` Unix time.
    """

    def __init__(
        self,
        *,
        policy: UrlPolicy,
        resolver: AddressLookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        user_agent: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._lookup = resolver
        self._own_lookup: SystemAddressLookup | None = None
        self._remembering: RememberingLookup | None = None
        self._ssl = ssl_context
        self._user_agent = user_agent
        self._clock = clock
        self._now = now
        self._client: HttpClient | None = None
        # Each callback has a URL of its own, but few origins are new; a refusal raises and so is not cached.
        self._judge = lru_cache(maxsize=ORIGIN_CACHE_SIZE)(self._judge_origin)

    async def start(self) -> None:
        """Open the connection pool; nothing is sent."""
        if self._lookup is None:
            self._lookup = self._own_lookup = SystemAddressLookup()
        self._remembering = RememberingLookup(self._lookup, ttl_s=LOOKUP_TTL_S)
        connector = Connector(
            lookup=GuardedLookup(self._policy, self._remembering),
            open_socket=guard_sockets(self._policy),
            tls=self._ssl or ssl.create_default_context(),
        )
        self._client = HttpClient(
            connector,
            headers={
                "user-agent": self._user_agent,
                "content-type": "application/json",
                "accept": "*/*",
                "accept-encoding": "identity",
            },
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._remembering is not None:
            await self._remembering.close()
            self._remembering = None
        if self._own_lookup is not None:
            self._own_lookup.close()
            self._lookup = self._own_lookup = None

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> ReceiverAnswer:
        """Make one attempt and return its outcome; raise nothing but a cancellation.

        `timeout_s` covers the attempt as a whole. `url` is checked again, so that a policy that was made stricter
        since the registration applies. `headers` are those of the signature and the checked static ones. Not for
        `inbox:` URLs.
        """
        assert self._client is not None, "start() comes first"
        began = self._clock()
        try:
            origin, target = self._split(url)
        except RefusedUrl as refused:
            return self._failed(began, "refused_url", f"Not sent: {refused.message}.")
        until = asyncio.get_running_loop().time() + timeout_s
        try:
            response = await self._client.post(origin, target, headers, body, until=until)
            content, note = _take_body(response) or await _read_body(response, until)
        except Exception as error:  # noqa: BLE001 - an attempt always has an outcome, whatever a parser trips over
            failure, reason = explain_failure(error, timeout_s=timeout_s)
            return self._failed(
                began,
                failure,
                reason,
                connected=not isinstance(error, NotConnected),
                sent=isinstance(error, UnansweredError),
            )
        excerpt = _excerpt(content, target, headers) if content else ""
        return self._answered(response, excerpt, note, began=began)

    def _answered(self, response: HttpResponse, excerpt: str, note: str, *, began: float) -> ReceiverAnswer:
        status = response.status
        content_type = response.headers.get("content-type", "")[:200]
        reason = explain_status(status, content_type)
        wait_s = None
        if status in (429, 503):
            wait_s = read_retry_after(response.all_of("retry-after") or None, now_s=self._now())
        return ReceiverAnswer(
            status=status,
            failure=None,
            reason=f"{reason[:-1]}; {note}." if note else reason,
            duration_ms=self._since(began),
            retry_after_s=wait_s,
            content_type=content_type,
            excerpt=excerpt,
        )

    def _failed(
        self, began: float, failure: str, reason: str, *, connected: bool = False, sent: bool = False
    ) -> ReceiverAnswer:
        return ReceiverAnswer(
            status=None,
            failure=failure,
            reason=reason,
            duration_ms=self._since(began),
            retry_after_s=None,
            content_type="",
            excerpt="",
            connected=connected,
            sent=sent,
        )

    def _split(self, url: str) -> tuple[str, str]:
        """Check a URL and return its origin, and its path with the query."""
        plain = _PLAIN.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
        if plain is not None:
            return self._judge(plain[1]), plain[2]
        checked = self._check(url)
        return _origin(checked), checked.target

    def _judge_origin(self, origin: str) -> str:
        return _origin(self._check(origin + "/"))

    def _check(self, url: str) -> CheckedUrl:
        checked = check_url(url, self._policy)
        if checked.inbox:
            raise RefusedUrl("inbox", "`inbox:` is no address on the network")
        return checked

    def _since(self, began: float) -> int:
        return round((self._clock() - began) * 1000)


def _origin(checked: CheckedUrl) -> str:
    """Return the origin as it is connected to; a dot at the end of the host stays, since it excludes search domains."""
    host = f"[{checked.host}]" if ":" in checked.host else checked.host
    return f"{checked.scheme}://{host}:{checked.port}"


def _take_body(response: HttpResponse) -> tuple[bytes, str] | None:
    """Do what `_read_body` does where nothing has to be waited for, as behind most responses; else return None."""
    whole = None if response.flaw else take_whole(response, limit=MAX_BODY_BYTES)
    if whole is None:
        return None
    if whole.ending is not BodyEnding.WHOLE:
        response.close()
        return _note(whole)
    response.release()
    return whole.data, ""


async def _read_body(response: HttpResponse, until: float) -> tuple[bytes, str]:
    """Read a response's body and end the response; a body that breaks off leaves the status valid."""
    content, note = b"", "its body was not read"
    try:
        if response.flaw:
            note = response.flaw
        elif response.is_complete:
            content, note = _note(await _read_capped(response))
        else:
            async with asyncio.timeout_at(until):
                content, note = _note(await _read_capped(response))
    except TimeoutError:
        note = "its body did not end in time"
    except BodyError as error:
        note = str(error)
    finally:
        (response.close if note else response.release)()
    return content, note


async def _read_capped(response: HttpResponse) -> CappedBody:
    return await read_capped(response, limit=MAX_BODY_BYTES, wire_limit=MAX_WIRE_BYTES)


def _note(body: CappedBody) -> tuple[bytes, str]:
    return body.data, _NOTES[body.ending]


def _excerpt(content: bytes, target: str, headers: Mapping[str, str]) -> str:
    """Return a response's body as readable text; what it repeats of our headers and of the URL's query is masked."""
    text = content.decode("utf-8", "replace")
    for name, value in headers.items():
        if value in text and not name.lower().startswith(_NOT_SECRET):
            text = _mask(text, value)
    query = target.partition("?")[2]
    for pair in query.split("&") if query else ():
        text = _mask(text, pair.partition("=")[2] or pair)
    text = text[:EXCERPT_CHARACTERS]
    return text if text.isprintable() else _CONTROL.sub("\ufffd", text)


def _mask(text: str, secret: str) -> str:
    return text.replace(secret, "***") if len(secret) >= MIN_SECRET_CHARACTERS else text
