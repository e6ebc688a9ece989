"""How commands talk to a running bridge: JSON over HTTP with its own key."""

import json
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar

from bridge.cli.errors import CommandError
from bridge.config.settings import Settings

ANSWER_TIMEOUT_S = 15.0
ANSWER_BYTES = 8 << 20


def local_url(settings: Settings) -> str:
    """The bridge as this machine reaches it, whatever the public address is."""
    return settings.model_copy(update={"public_url": None}).base_url


class ApiClient:
    """A session with one bridge."""

    def __init__(self, url: str, api_key: str) -> None:
        """Take the bridge's address and a key of it."""
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._session = ClientSession(
            timeout=ClientTimeout(total=ANSWER_TIMEOUT_S), cookie_jar=DummyCookieJar(), trust_env=False
        )

    async def __aenter__(self) -> Self:
        """Nothing is sent before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session."""
        await self._session.close()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer (None when it is no JSON); raise `CommandError` when nobody answers."""
        try:
            async with self._session.request(
                method, self.url + path, json=body, headers=self._headers, allow_redirects=False
            ) as response:
                return response.status, _read_json(await _read_capped(response))
        except (TimeoutError, ClientError, OSError):
            raise CommandError(
                f"no answer from {self.url}: is `reelbridge up` (or `api`) running there?"
            ) from None

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx answer; raise `CommandError` with the bridge's own sentence for any other."""
        status, answer = await self.ask(method, path, body)
        if 200 <= status < 300:
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        raise CommandError(
            f"{method} {path.partition('?')[0]}: {status} {message or 'without an explanation'}"
        )


async def _read_capped(response: ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > ANSWER_BYTES:
            raise CommandError(f"the answer of {response.url.path} is larger than {ANSWER_BYTES >> 20} MB")
        chunks.append(chunk)
    return b"".join(chunks)


def _read_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
