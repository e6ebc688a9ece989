"""Read from an upstream: one GET, bounded in time and size, turned into a `PollResult`.

The operator sets the upstream's address, so it is not checked as a callback URL is. Redirects are not followed: a
credential must not travel to another host.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Self

from msgspec import Struct
from yarl import URL

from bridge.domain.observation import Observed, PollResult, RateHeaders, UpstreamBroken
from bridge.domain.polling.list_pages import PAGE
from bridge.http.body import BodyEnding, read_capped
from bridge.http.client.client_errors import BodyError, ClosedError, NotConnected, NotHttpError
from bridge.http.client.http_client import HttpClient
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.opening import open_client
from bridge.http.yielding import let_others_run
from bridge.providers.download import DownloadResult, read_download
from bridge.providers.lists import Rows, read_list, read_rows
from bridge.providers.provider_spec import Standing
from bridge.providers.read import read_answer, read_credential, read_folded_rate, read_network_failure
from bridge.providers.registry import PROVIDERS
from bridge.providers.spec import ExtraWords, KindSpec
from bridge.providers.timestamps import read_http_date_ms

READ_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 10.0
BODY_LIMIT = 16 * 1024 * 1024  # documented answers have a few KB; of a larger one the beginning is read
_HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An account as a request needs it: provider, base URL, and the credential in clear."""

    provider: str
    base_url: str
    credential: str

    def __repr__(self) -> str:
        """Return a text without the credential, for logs and errors."""
        return f"Login(provider={self.provider!r})"


NO_RATE = RateHeaders()


class PollAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """The result of one read, its rate headers, how long it took, and a hash of its bytes."""

    result: PollResult
    rate: RateHeaders = NO_RATE
    took_ms: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnswer:
    """The result of one list call: its rows, or the `PollResult` that says why there are none.

    `date_ms` is the upstream's own time, None where the answer does not say it.
    """

    result: Rows | PollResult
    rate: RateHeaders = NO_RATE
    took_ms: int = 0
    date_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadAnswer:
    """The link to a job's file, or why there is none, and the rate headers."""

    result: DownloadResult
    rate: RateHeaders = NO_RATE


class KnownAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """A response that was parsed before: the hash of its bytes, and its result."""

    digest: bytes
    result: Observed


class _Raw(Struct, frozen=True, kw_only=True, gc=False):
    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


class UpstreamClient:
    """A client of all providers over one connection pool; `start` it before use, `close` it afterwards."""

    def __init__(self, *, user_agent: str, words: ExtraWords, timeout_s: float = READ_TIMEOUT_S) -> None:
        self._user_agent = user_agent
        self.words = words
        self._timeout_s = timeout_s
        self._client: HttpClient | None = None
        self._opened = AsyncExitStack()

    async def start(self) -> None:
        """Open the connection pool."""
        self._client = await self._opened.enter_async_context(
            open_client(
                headers={"user-agent": self._user_agent, **_HEADERS},
                connect_s=min(CONNECT_TIMEOUT_S, self._timeout_s),
            )
        )

    async def close(self) -> None:
        """Close the connection pool."""
        await self._opened.aclose()
        self._client = None

    async def __aenter__(self) -> Self:
        """Open the pool for a block."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool after a block."""
        await self.close()

    async def read(
        self,
        login: Login,
        kind: KindSpec,
        job_id: str,
        *,
        now_ms: int,
        superseded: frozenset[str] = frozenset(),
        known: KnownAnswer | None = None,
    ) -> PollAnswer:
        """Read one job; whatever the network does becomes a result, never an exception.

        A response whose bytes are `known` is not parsed again and has the same result.
        """
        began = time.perf_counter()
        raw = await self._get(login, kind.path_for(job_id))
        took_ms = round((time.perf_counter() - began) * 1000)
        if isinstance(raw, UpstreamBroken):
            return PollAnswer(result=raw, took_ms=took_ms)
        now_ms += took_ms
        rate = read_folded_rate(found=raw.headers, body=raw.body, http_status=raw.status, now_ms=now_ms)
        digest = hashlib.blake2b(raw.body, digest_size=8).digest()
        if known is not None and digest == known.digest and 200 <= raw.status < 300:
            return PollAnswer(result=known.result, rate=rate, took_ms=took_ms, digest=digest)
        await let_others_run()
        result = read_answer(
            kind,
            job_id=job_id,
            http_status=raw.status,
            headers=raw.headers,
            body=raw.body,
            now_ms=now_ms,
            words=self.words,
            superseded=superseded,
            is_cut=raw.is_cut,
        )
        return PollAnswer(result=result, rate=rate, took_ms=took_ms, digest=digest)

    async def read_list(
        self, login: Login, kind: KindSpec, path: str, *, offset: int, now_ms: int
    ) -> ListAnswer:
        """Read one page of a list; whatever the network does becomes a result, never an exception."""
        return await self._read_page(login, path, offset, now_ms, partial(read_list, kind))

    async def read_rows(self, login: Login, path: str, *, now_ms: int) -> ListAnswer:
        """Read the first page of a list of anything with an id, as `read_list` does."""
        errors = PROVIDERS[login.provider].check_kind.errors
        return await self._read_page(login, path, 0, now_ms, partial(read_rows, errors))

    async def _read_page(
        self, login: Login, path: str, offset: int, now_ms: int, read: Callable[..., Rows | PollResult]
    ) -> ListAnswer:
        began = time.perf_counter()
        raw = await self._get(login, f"{path}?limit={PAGE}&offset={offset}")
        took_ms = round((time.perf_counter() - began) * 1000)
        if isinstance(raw, UpstreamBroken):
            return ListAnswer(result=raw, took_ms=took_ms)
        now_ms += took_ms
        rate = read_folded_rate(found=raw.headers, body=raw.body, http_status=raw.status, now_ms=now_ms)
        if raw.is_cut:
            return ListAnswer(
                result=read_network_failure("a page of more than 16 MB"), rate=rate, took_ms=took_ms
            )
        result = read(http_status=raw.status, headers=raw.headers, body=raw.body, now_ms=now_ms)
        date_ms = read_http_date_ms(raw.headers.get("date", ""))
        return ListAnswer(result=result, rate=rate, took_ms=took_ms, date_ms=date_ms)

    async def read_download(
        self, login: Login, kind: KindSpec, job_id: str, *, now_ms: int
    ) -> DownloadAnswer:
        """Ask for a link to one job's file; whatever the network does becomes a result, never an exception."""
        raw = await self._get(login, kind.download_path_for(job_id))
        if isinstance(raw, UpstreamBroken):
            return DownloadAnswer(result=raw)
        rate = read_folded_rate(found=raw.headers, body=raw.body, http_status=raw.status, now_ms=now_ms)
        result = read_download(
            kind, http_status=raw.status, headers=raw.headers, body=raw.body, now_ms=now_ms
        )
        return DownloadAnswer(result=result, rate=rate)

    async def check(self, login: Login, *, now_ms: int) -> Standing:
        """Ask the upstream whether it accepts a credential; this costs one request."""
        provider = PROVIDERS[login.provider]
        raw = await self._get(login, provider.check_path)
        if isinstance(raw, UpstreamBroken):
            return Standing.UNCLEAR
        return read_credential(
            provider, http_status=raw.status, headers=raw.headers, body=raw.body, now_ms=now_ms
        )

    async def _get(self, login: Login, path: str) -> _Raw | UpstreamBroken:
        assert self._client is not None, "start() comes first"
        headers = PROVIDERS[login.provider].auth_headers(login.credential)
        until = asyncio.get_running_loop().time() + self._timeout_s
        try:
            # Paths contain only ids that need no escaping.
            origin, prefix = _split(login.base_url)
            response = await self._client.get(origin, prefix + path, headers, until=until)
            body, is_cut = await _read_body(response, until)
            return _Raw(status=response.status, headers=response.headers, body=body, is_cut=is_cut)
        except TimeoutError:
            return read_network_failure(f"no answer within {self._timeout_s:g} s")
        except (NotConnected, ClosedError, NotHttpError, BodyError, OSError, ValueError) as error:
            # The message may contain the URL; the error's class is enough.
            return read_network_failure(type(error).__name__)


@lru_cache(maxsize=64)
def _split(base_url: str) -> tuple[str, str]:
    """Return an upstream's origin, and the path with which all its requests begin."""
    url = URL(base_url, encoded=True)
    return str(url.origin()), url.raw_path.removesuffix("/")


async def _read_body(response: HttpResponse, until: float) -> tuple[bytes, bool]:
    """Return at most BODY_LIMIT decompressed bytes and whether there are more, and end the response.

    A response whose body cannot be trusted has none: its status counts.
    """
    if response.is_complete and not response.flaw and "content-encoding" not in response.headers:
        data = response.body.read_nowait()  # nearly every answer comes whole with its head
        if len(data) <= BODY_LIMIT:
            response.release()
            return data, False
        response.close()
        return data[:BODY_LIMIT], True
    is_whole = False
    try:
        if response.flaw:
            return b"", False
        reading = read_capped(response, limit=BODY_LIMIT, wire_limit=BODY_LIMIT)
        if response.is_complete:
            data, ending = await reading
        else:
            async with asyncio.timeout_at(until):
                data, ending = await reading
        is_whole, is_cut = ending is BodyEnding.WHOLE, ending is BodyEnding.CUT
        return (data if is_whole or is_cut else b""), is_cut
    finally:
        (response.release if is_whole else response.close)()
