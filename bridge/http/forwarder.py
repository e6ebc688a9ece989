"""Send on what clients ask of a provider: any request, streamed both ways, over connections of its own."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self
from urllib.parse import urlsplit

from bridge.http.client.http_client import HttpClient
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.opening import open_client
from bridge.http.client.response_head import Field
from bridge.http.client.upload import Upload

CONNECT_TIMEOUT_S = 10.0
HEAD_S = 120.0
STALL_S = 60.0


class Forwarder:
    """A client of the providers for requests that are passed on; the operator has set the addresses.

    The head of a response may take `head_s` seconds; in the middle of a body neither side may stand still for `stall_s`.
    """

    def __init__(self, *, head_s: float = HEAD_S, stall_s: float = STALL_S) -> None:
        self.head_s = head_s
        self.stall_s = stall_s
        self._opened = AsyncExitStack()
        self._client: HttpClient | None = None

    async def __aenter__(self) -> Self:
        """Open the pool for a block."""
        self._client = await self._opened.enter_async_context(open_client(connect_s=CONNECT_TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self._opened.aclose()
        self._client = None

    async def send(
        self, method: str, base_url: str, tail: str, fields: Sequence[Field], *, body: bytes | Upload
    ) -> HttpResponse:
        """Send a request to what lies at `tail` below a provider's base URL; return its response once the head came.

        Raise what `HttpClient.request` raises.
        """
        assert self._client is not None, "it is open"
        parts = urlsplit(base_url)
        until = asyncio.get_running_loop().time() + self.head_s
        target = parts.path.rstrip("/") + tail
        origin = f"{parts.scheme}://{parts.netloc}"
        return await self._client.request(method, origin, target, fields, body=body, until=until)
