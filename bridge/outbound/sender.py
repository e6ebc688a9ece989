"""Send one signed POST to a receiver and say what became of it."""

import re
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

import aiohttp
from aiohttp import hdrs
from yarl import URL

from bridge.domain.attempts import EXCERPT_CHARACTERS, Answer, explain_status, read_retry_after
from bridge.domain.url_policy import CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.outbound.body import MAX_BODY_BYTES, read_capped
from bridge.outbound.failures import explain_failure
from bridge.outbound.guard import GuardedResolver, LookUp, SystemLookUp, guard_sockets

# Below the 5 s after which Node (n8n, Node-RED) closes idle connections, so that a POST rarely meets a closing one.
KEEP_ALIVE_S = 4.0
MAX_HEADER_BYTES = 8190
MAX_HEADERS = 100
REMEMBERED_URLS = 512
MIN_SECRET_CHARACTERS = 6
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
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
        self._session: aiohttp.ClientSession | None = None
        # An endpoint's URL comes back with every event; a refusal raises and is not remembered.
        self._prepare = lru_cache(maxsize=REMEMBERED_URLS)(self._check)

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
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=MAX_BODY_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            headers={
                "user-agent": self._user_agent,
                "content-type": "application/json",
                "accept": "*/*",
                "accept-encoding": "identity",
            },
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._own_look_up is not None:
            self._own_look_up.close()
            self._look_up = self._own_look_up = None

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """Make one attempt within `timeout_s` as a whole and give its `Answer`; raises nothing but a cancellation.

        `url` is judged again, so that a policy made stricter since registration holds. `headers` are the signature's and
        the checked static ones. Not for `inbox:` URLs.
        """
        assert self._session is not None, "start() comes first"
        began = self._clock()
        try:
            checked, wire_url = self._prepare(url)
        except RefusedUrl as refused:
            return self._failed(began, "refused_url", f"Not sent: {refused.message}.")
        try:
            return await self._post(
                self._session, checked, wire_url, headers=headers, body=body, timeout_s=timeout_s, began=began
            )
        except Exception as error:  # noqa: BLE001 - an attempt always has an outcome, whatever a parser trips over
            failure, reason = explain_failure(error, timeout_s=timeout_s)
            return self._failed(began, failure, reason)

    async def _post(
        self,
        session: aiohttp.ClientSession,
        checked: CheckedUrl,
        wire_url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        began: float,
    ) -> Answer:
        # POST is no idempotent method, so aiohttp never repeats it by itself, and a keep-alive connection that closes
        # under it is a failed attempt like any other.
        response = await session.post(
            wire_url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        )
        note = ""
        content = b""
        try:
            content, note = await read_capped(response)
        except TimeoutError:
            note = "its body did not end in time"
        except (aiohttp.ClientError, OSError):
            note = "its body broke off"
        finally:
            if note or not response.content.at_eof():
                response.close()
            else:
                response.release()
        return self._answered(response, content, note, checked=checked, headers=headers, began=began)

    def _answered(
        self,
        response: aiohttp.ClientResponse,
        content: bytes,
        note: str,
        *,
        checked: CheckedUrl,
        headers: Mapping[str, str],
        began: float,
    ) -> Answer:
        status = response.status
        content_type = response.headers.get(hdrs.CONTENT_TYPE, "")[:200]
        reason = explain_status(status, content_type)
        wait_s = None
        if status in (429, 503):
            wait = ",".join(response.headers.getall(hdrs.RETRY_AFTER, ())) or None
            wait_s = read_retry_after(wait, now_s=self._now())
        return Answer(
            status=status,
            failure=None,
            reason=f"{reason[:-1]}; {note}." if note else reason,
            duration_ms=self._since(began),
            retry_after_s=wait_s,
            content_type=content_type,
            excerpt=_excerpt(content, checked, headers) if content else "",
        )

    def _failed(self, began: float, failure: str, reason: str) -> Answer:
        return Answer(
            status=None,
            failure=failure,
            reason=reason,
            duration_ms=self._since(began),
            retry_after_s=None,
            content_type="",
            excerpt="",
        )

    def _check(self, url: str) -> tuple[CheckedUrl, URL]:
        checked = check_url(url, self._policy)
        if checked.inbox:
            raise RefusedUrl("inbox", "`inbox:` is no address on the network")
        return checked, _wire_url(checked)

    def _since(self, began: float) -> int:
        return round((self._clock() - began) * 1000)


def _wire_url(checked: CheckedUrl) -> URL:
    """Build the URL from its judged parts; the target stands in `path` with its query, which keeps it byte for byte."""
    host = f"[{checked.host}]" if ":" in checked.host else checked.host
    return URL.build(
        scheme=checked.scheme, authority=f"{host}:{checked.port}", path=checked.target, encoded=True
    )


def _excerpt(content: bytes, checked: CheckedUrl, headers: Mapping[str, str]) -> str:
    """Make readable text of an answer; what it echoes of our headers and of the URL's query is masked."""
    text = content.decode("utf-8", "replace")
    for name, value in headers.items():
        if value in text and not name.lower().startswith(_NOT_SECRET):
            text = _mask(text, value)
    for pair in checked.target.partition("?")[2].split("&"):
        text = _mask(text, pair.partition("=")[2] or pair)
    return _CONTROL.sub("\ufffd", text[:EXCERPT_CHARACTERS])


def _mask(text: str, secret: str) -> str:
    return text.replace(secret, "***") if len(secret) >= MIN_SECRET_CHARACTERS else text
