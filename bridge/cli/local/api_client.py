"""A client of a running bridge's API: JSON over HTTP, with one of the bridge's API keys."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar

from bridge.cli.local.errors import CommandError
from bridge.config.settings import Settings

RESPONSE_TIMEOUT_S = 15.0
MAX_RESPONSE_BYTES = 8 << 20


def local_url(settings: Settings) -> str:
    """Return the URL at which this machine reaches the bridge, whatever its public address is."""
    return settings.model_copy(update={"public_url": None}).base_url


class NoAnswerError(CommandError):
    """No bridge answers at the address, or not in time."""


class ApiClient:
    """A session with one bridge; use it as an async context manager."""

    def __init__(self, url: str, api_key: str) -> None:
        """Connect to nothing yet; `url` is the bridge's address, `api_key` one of its keys."""
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._session = ClientSession(
            timeout=ClientTimeout(total=RESPONSE_TIMEOUT_S), cookie_jar=DummyCookieJar(), trust_env=False
        )

    async def __aenter__(self) -> Self:
        """Return the client itself; nothing is sent before the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = RESPONSE_TIMEOUT_S
    ) -> tuple[int, Any]:
        """Return status and JSON of a response (None when it is not JSON).

        Raise `NoAnswerError` when no response comes.
        """
        try:
            async with self._session.request(
                method,
                self.url + path,
                json=body,
                headers=self._headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=timeout_s),
            ) as response:
                return response.status, _read_json(await _read_capped(response))
        except (TimeoutError, ClientError, OSError, ValueError):  # ValueError: a URL that cannot be one
            raise NoAnswerError(explain_silence(self.url)) from None

    async def call(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = RESPONSE_TIMEOUT_S
    ) -> Any:
        """Return the JSON of a 2xx response; raise `CommandError` with the bridge's own message for any other."""
        status, answer = await self.request(method, path, body, timeout_s=timeout_s)
        if 200 <= status < 300:
            return answer
        raise CommandError(explain_refusal(method, path, status, answer))

    @asynccontextmanager
    async def stream(
        self, path: str, headers: Mapping[str, str], *, silence_s: float
    ) -> AsyncIterator[ClientResponse]:
        """Yield a response whose body has no end; reading it raises TimeoutError after so much silence.

        Errors of aiohttp and of the system pass: the caller connects again.
        """
        async with self._session.get(
            self.url + path,
            headers={**self._headers, **headers},
            allow_redirects=False,
            timeout=ClientTimeout(total=None, sock_connect=RESPONSE_TIMEOUT_S, sock_read=silence_s),
        ) as response:
            yield response


def explain_silence(url: str) -> str:
    """Return the message for a bridge that gives no response at this address."""
    return (
        f"no answer from {url}: is `reelbridge up` (or `api`) running there? Another address is named by --bridge,"
        " or by REELBRIDGE_HOST and REELBRIDGE_PORT"
    )


def explain_refusal(method: str, path: str, status: int, answer: Any) -> str:
    """Return which request was refused and the bridge's own message, which says what to do."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return f"{method} {path.partition('?')[0]}: {status} {message or 'without an explanation'}"


async def read_answer(response: ClientResponse) -> Any:
    """Return the JSON of a response, None when it is not JSON."""
    return _read_json(await _read_capped(response))


async def _read_capped(response: ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            raise CommandError(
                f"the answer of {response.url.path} is larger than {MAX_RESPONSE_BYTES >> 20} MB"
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _read_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
