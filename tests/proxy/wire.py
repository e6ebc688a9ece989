"""An upstream and a client that see and send exact bytes, with the bridge between them."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.api.app import build_app
from bridge.api.routing import API
from bridge.container import bootstrap, open_services
from bridge.http.forwarder import Forwarder
from bridge.proxy.handler import Proxy
from bridge.services.accounts.client_requests import ClientRequests
from tests.api.serving import KEY, Client, make_settings, running

PATIENCE_S = 10
UPSTREAM_KEY = "rm_" + "b" * 32
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Seen:
    """A request as it arrived: its head byte for byte, its body without chunks."""

    head: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        return read_fields(self.head)

    def all_of(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.fields if each.lower() == name]


@dataclass(kw_only=True)
class Upstream:
    """An upstream: the requests that came, the connections that closed, and how it answers."""

    port: int = 0
    answers: Sequence[bytes | Act] = (OK,)
    reads_bodies: bool = True
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self.open.add(task)
        try:
            await self._note()
            while True:
                seen = Seen(head=await reader.readuntil(b"\r\n\r\n"))
                if self.reads_bodies:
                    seen.body = await read_body(reader, seen.head)
                self.requests.append(seen)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                await self._note()
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(reader, writer)
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(task)
            writer.transport.abort()
            await self._note()

    async def _note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def wait(self, true: Callable[["Upstream"], bool]) -> None:
        """Wait until something is true of the upstream."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: true(self))


@asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    """Run an upstream on a free port."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1024 * 1024)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in list(upstream.open):
            task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)


@dataclass(kw_only=True)
class Answer:
    """An answer as it arrived: its head byte for byte, its body without chunks, and whether that came whole."""

    head: bytes
    body: bytes = b""
    is_whole: bool = True

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        return read_fields(self.head)

    def first(self, name: bytes) -> bytes | None:
        return next((value for each, value in self.fields if each.lower() == name), None)


class Line:
    """A connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read(self, *, method: str = "GET") -> Answer:
        """Read one answer; of one that breaks off what came."""
        async with asyncio.timeout(PATIENCE_S):
            answer = Answer(head=await self.reader.readuntil(b"\r\n\r\n"))
            if method == "HEAD" or answer.status in (204, 304):
                return answer
            try:
                answer.body = await read_body(self.reader, answer.head, is_answer=True)
            except asyncio.IncompleteReadError as cut:
                answer.body, answer.is_whole = cut.partial, False
            except ConnectionError:
                answer.is_whole = False
            return answer

    async def is_closed(self) -> bool:
        """Wait until the peer closes; return False for a byte that still comes."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                return not await self.reader.read(1)
            return True


@dataclass(kw_only=True)
class Proxied:
    """A running bridge, its upstream, and raw connections to either."""

    port: int
    api: Client
    upstream: Upstream
    prefix: bytes = b"/reelmirror/api"

    @asynccontextmanager
    async def connect(self, *, direct: bool = False) -> AsyncIterator[Line]:
        port = self.upstream.port if direct else self.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
        try:
            yield Line(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(
        self,
        line: bytes = b"GET /x HTTP/1.1",
        *fields: bytes,
        body: bytes = b"",
        key: str | None = KEY,
        raw: bool = False,
    ) -> Answer:
        """Send one request over a connection of its own; its target lies behind the prefix, unless it is `raw`."""
        async with self.connect() as connection:
            await connection.send(self.write(line, *fields, body=body, key=key, raw=raw))
            return await connection.read(method=line.split()[0].decode())

    def write(
        self,
        line: bytes = b"GET /x HTTP/1.1",
        *fields: bytes,
        body: bytes = b"",
        key: str | None = KEY,
        raw: bool = False,
    ) -> bytes:
        """Return a request's bytes."""
        method, rest = line.split(b" ", 1)
        line = line if raw else method + b" " + self.prefix + rest
        auth = [] if key is None else [f"Authorization: Bearer {key}".encode()]
        return b"\r\n".join([line, b"Host: bridge.example", *auth, *fields, b"", body])


@asynccontextmanager
async def proxying(
    socket: Path, *, forwarder: Callable[[], Forwarder] = Forwarder, **settings: Any
) -> AsyncIterator[Proxied]:
    """Run the API and the proxy as one process does, on a free port, with an upstream of their own."""
    async with running_upstream() as upstream:
        base_url = f"http://127.0.0.1:{upstream.port}/base/api"
        chosen = make_settings(socket, REELMIRROR_BASE_URL=base_url, REELBOT_BASE_URL=base_url, **settings)
        async with open_services(chosen) as services:
            await services.store.redis.flushall()
        async with open_services(chosen) as services, forwarder() as sending:
            await bootstrap(services)
            app = build_app(services)
            requests = ClientRequests(services)
            proxy = Proxy(app[API], sending, requests)
            async with running(app, front=proxy.before) as url, Client.session() as http:
                port = int(url.rpartition(":")[2])
                yield Proxied(port=port, api=Client(http, url, services), upstream=upstream)
            await proxy.close()
            await requests.close()


async def add_tenant(proxied: Proxied) -> str:
    """Add a project with an account of its own, and return its key."""
    _, project = await proxied.api.call("POST", "/v1/projects", json={"name": "other"})
    store = proxied.api.services.store
    await store.accounts.create(project["id"], "reelmirror", "rm_" + "d" * 32, "other")
    _, text = await store.apikeys.create(project["id"], ["proxy"], "other")
    return text


def read_fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return names and values of a head in their order."""
    lines = head[:-4].split(b"\r\n")[1:]
    return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]


async def read_body(reader: asyncio.StreamReader, head: bytes, *, is_answer: bool = False) -> bytes:
    """Read the body behind a head; raise IncompleteReadError, with what came, where it is cut off."""
    if re.search(rb"(?i)\r\ntransfer-encoding:\s*chunked\s*\r\n", head):
        return await _read_chunks(reader)
    found = re.search(rb"(?i)\r\ncontent-length:\s*(\d+)\s*\r\n", head)
    if found:
        return await reader.readexactly(int(found[1]))
    return await reader.read() if is_answer else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    try:
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
    except asyncio.IncompleteReadError as cut:
        raise asyncio.IncompleteReadError(body + cut.partial, None) from None
    return body
