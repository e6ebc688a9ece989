"""Play an exchange with the bridge's client and with aiohttp's `ClientSession`, and write down what each makes of it."""

import asyncio
import io
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge.http.client.client_errors import BodyError, ClosedError, NotHttpError
from bridge.http.client.connector import Connector
from bridge.http.client.http_client import HttpClient
from bridge.http.client.response_head import Field
from tests.http.receivers import Act, Receiver, receive

HOST = "peer.example"
PATIENCE_S = 20

# Opens a client for the requests to a receiver.
Client = Callable[[Receiver], AbstractAsyncContextManager["Send"]]
# Sends one request and returns what came of it, in words.
Send = Callable[[str, list[Field], bytes], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a server does, and what the two clients make of it.

    `answers`: one a request; with `heads_only` they read the bodies. `pause`: what to wait for between requests. `ours` and `theirs` are what `play` returns; where `theirs` is "", they are the same.
    """

    answers: tuple[bytes | Act, ...]
    ours: str
    theirs: str = ""
    method: str = "GET"
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    requests: int = 1
    heads_only: bool = False
    pause: Callable[[], Awaitable[None]] | None = None
    why: str


def show(status: int, body: bytes, mark: str = "") -> str:
    shown = body.decode("latin-1") if len(body) <= 20 else f"{len(body)} bytes"
    return " ".join(filter(None, (str(status), shown, mark)))


@asynccontextmanager
async def our_http_client() -> AsyncIterator[HttpClient]:
    """Run a client for which every name leads to this machine."""

    async def lookup(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    client = HttpClient(Connector(lookup=lookup, tls=ssl.create_default_context()))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def our_client(receiver: Receiver) -> AsyncIterator[Send]:
    async def send(method: str, fields: list[Field], body: bytes) -> str:
        until = asyncio.get_running_loop().time() + PATIENCE_S
        origin = receiver.url("", host=HOST)
        try:
            response = await client.request(method, origin, "/x", fields, body=body, until=until)
        except (ClosedError, NotHttpError):
            return "failed"
        read = b""
        mark = "flawed" if response.flaw else "" if response.is_well_formed else "odd"
        try:
            while piece := await response.body.read():
                read += piece
        except BodyError:
            mark = "broken"
        response.release()
        return show(response.status, read, mark)

    async with our_http_client() as client:
        yield send


class Local(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def their_client(receiver: Receiver) -> AsyncIterator[Send]:
    connector = aiohttp.TCPConnector(resolver=Local(), family=socket.AF_INET)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def send(method: str, fields: list[Field], body: bytes) -> str:
            headers = [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in fields]
            url = receiver.url("/x", host=HOST)
            try:
                answer = await session.request(
                    method, url, headers=headers, data=io.BytesIO(body) if body else None
                )
            except aiohttp.ClientError:
                return "failed"
            async with answer:
                read, mark = b"", ""
                try:
                    while piece := await answer.content.readany():
                        read += piece
                except aiohttp.ClientError:
                    mark = "broken"
                return show(answer.status, read, mark)

        yield send


async def play(exchange: Exchange, client: Client) -> str:
    """Return what came of each request, and how many were sent over how many connections."""
    server = receive(*exchange.answers, heads_only=exchange.heads_only)
    async with server as receiver, client(receiver) as send:
        outcomes: list[str] = []
        for number in range(exchange.requests):
            if number and exchange.pause is not None:
                await exchange.pause()
            outcomes.append(await send(exchange.method, list(exchange.fields), exchange.body))
    return f"{', '.join(outcomes)}; {len(receiver.requests)} sent, {receiver.connects} connected"
