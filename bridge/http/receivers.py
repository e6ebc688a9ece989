"""Send one signed POST to a receiver and say what became of it."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

import aiohttp
from aiohttp import hdrs

from bridge.domain.deliveries.retry import (
    EXCERPT_CHARACTERS,
    ReceiverAnswer,
    explain_status,
    read_retry_after,
)
from bridge.domain.urls.policy import MAX_URL_CHARACTERS, CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.http.body import MAX_BODY_BYTES, read_capped
from bridge.http.failures import explain_failure
from bridge.http.http_client import Exchange, HttpClient
from bridge.http.ssrf_guard import GuardedResolver, LookUp, SystemLookUp, guard_sockets

# Below the 5 s after which Node (n8n, Node-RED) closes idle connections, so that a POST rarely meets a closing one.
KEEP_ALIVE_S = 4.0
MAX_HEADERS = 100
REMEMBERED_ORIGINS = 1024
MIN_SECRET_CHARACTERS = 6
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# A URL that its check leaves as it is behind the authority: no fragment, nothing to escape, nothing to refuse.
_PLAIN = re.compile(r"([a-z]+://[^/?#]+)(/[!-\"$-\[\]-~]*)")
_NOT_SECRET = ("webhook-", "user-agent", "content-")


class Sender:
    """An HTTP client for receivers: guarded addresses, no redirects, no cookies, no proxy, bounded answers.

    `resolver` looks names up (see `guard.LookUp`; the system's by default). `limit` caps connections, 0 is no cap. Call
    `start` inside the event loop and `close` at the end. `clock` gives seconds for durations, `now` Unix time.
    """

    def __init__(
        self,
        *,
        policy: UrlPolicy,
        resolver: LookUp | None = None,
        ssl_context: ssl.SSLContext | None = None,
        user_agent: str,
        limit: int = 0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._look_up = resolver
        self._own_look_up: SystemLookUp | None = None
        self._ssl = ssl_context
        self._user_agent = user_agent
        self._limit = limit
        self._clock = clock
        self._now = now
        self._exchanges: HttpClient | None = None
        # A URL is new with each callback, where it leads is not; a refusal raises and is not remembered.
        self._judge = lru_cache(maxsize=REMEMBERED_ORIGINS)(self._judge_origin)

    async def start(self) -> None:
        """Open the connection pool; nothing is called."""
        if self._look_up is None:
            self._look_up = self._own_look_up = SystemLookUp()
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._policy, self._look_up),
            socket_factory=guard_sockets(self._policy),
            ssl=self._ssl or ssl.create_default_context(),
            limit=self._limit,
            keepalive_timeout=KEEP_ALIVE_S,
        )
        self._exchanges = HttpClient(
            connector,
            headers={
                "user-agent": self._user_agent,
                "content-type": "application/json",
                "accept": "*/*",
                "accept-encoding": "identity",
            },
            read_bufsize=MAX_BODY_BYTES,
            max_headers=MAX_HEADERS,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._exchanges is not None:
            await self._exchanges.close()
            self._exchanges = None
        if self._own_look_up is not None:
            self._own_look_up.close()
            self._look_up = self._own_look_up = None

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> ReceiverAnswer:
        """Make one attempt within `timeout_s` as a whole and give its `Answer`; raises nothing but a cancellation.

        `url` is judged again, so that a policy made stricter since registration holds. `headers` are the signature's and
        the checked static ones. Not for `inbox:` URLs.
        """
        assert self._exchanges is not None, "start() comes first"
        began = self._clock()
        try:
            origin, target = self._split(url)
        except RefusedUrl as refused:
            return self._failed(began, "refused_url", f"Not sent: {refused.message}.")
        until = asyncio.get_running_loop().time() + timeout_s
        try:
            answer = await self._exchanges.post(origin, target, headers, body, until=until)
            content, note = await _read_body(answer, until)
        except Exception as error:  # noqa: BLE001 - an attempt always has an outcome, whatever a parser trips over
            failure, reason = explain_failure(error, timeout_s=timeout_s)
            return self._failed(began, failure, reason)
        excerpt = _excerpt(content, target, headers) if content else ""
        return self._answered(answer, excerpt, note, began=began)

    def _answered(self, answer: Exchange, excerpt: str, note: str, *, began: float) -> ReceiverAnswer:
        status = answer.status
        content_type = answer.headers.get(hdrs.CONTENT_TYPE, "")[:200]
        reason = explain_status(status, content_type)
        wait_s = None
        if status in (429, 503):
            wait = ",".join(answer.headers.getall(hdrs.RETRY_AFTER, ())) or None
            wait_s = read_retry_after(wait, now_s=self._now())
        return ReceiverAnswer(
            status=status,
            failure=None,
            reason=f"{reason[:-1]}; {note}." if note else reason,
            duration_ms=self._since(began),
            retry_after_s=wait_s,
            content_type=content_type,
            excerpt=excerpt,
        )

    def _failed(self, began: float, failure: str, reason: str) -> ReceiverAnswer:
        return ReceiverAnswer(
            status=None,
            failure=failure,
            reason=reason,
            duration_ms=self._since(began),
            retry_after_s=None,
            content_type="",
            excerpt="",
        )

    def _split(self, url: str) -> tuple[str, str]:
        """Judge a URL and give its origin, and what goes on the wire behind it."""
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
    """Name the origin as it is called; a dot at the end of the host stays, it keeps search domains out."""
    host = f"[{checked.host}]" if ":" in checked.host else checked.host
    return f"{checked.scheme}://{host}:{checked.port}"


async def _read_body(answer: Exchange, until: float) -> tuple[bytes, str]:
    """Read an answer's body and end the exchange; a body that breaks off leaves the status as it is."""
    content, note = b"", "its body was not read"
    try:
        if answer.is_broken:
            note = "its body is malformed or goes on behind its end"
        elif answer.has_come:
            content, note = await read_capped(answer)
        else:
            async with asyncio.timeout_at(until):
                content, note = await read_capped(answer)
    except TimeoutError:
        note = "its body did not end in time"
    except (aiohttp.ClientError, OSError):
        note = "its body broke off"
    finally:
        if note or not answer.content.at_eof():
            answer.close()
        else:
            answer.release()
    return content, note


def _excerpt(content: bytes, target: str, headers: Mapping[str, str]) -> str:
    """Make readable text of an answer; what it echoes of our headers and of the URL's query is masked."""
    text = content.decode("utf-8", "replace")
    for name, value in headers.items():
        if value in text and not name.lower().startswith(_NOT_SECRET):
            text = _mask(text, value)
    query = target.partition("?")[2]
    for pair in query.split("&") if query else ():
        text = _mask(text, pair.partition("=")[2] or pair)
    return _CONTROL.sub("\ufffd", text[:EXCERPT_CHARACTERS])


def _mask(text: str, secret: str) -> str:
    return text.replace(secret, "***") if len(secret) >= MIN_SECRET_CHARACTERS else text
