"""Receivers for tests: real sockets that answer with exact bytes and record what arrives."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bridge.domain.deliveries.retry import ReceiverAnswer
from bridge.domain.urls.policy import UrlPolicy, plan_policy
from bridge.http.client.http_client import HttpClient
from bridge.http.client.opening import open_client
from bridge.http.receivers import Sender

LAPTOP = plan_policy(
    host="127.0.0.1", allow_http=None, allow_networks=None, own_origins=frozenset({"127.0.0.1:1"})
)
STRICT = plan_policy(host="0.0.0.0", allow_http=True, allow_networks="", own_origins=frozenset())
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Receiver:
    """What a test examines: the requests as they arrived on the socket, and the number of connections."""

    port: int
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    connects: int = 0

    def url(self, target: str = "/", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{target}"


async def read_request(
    reader: asyncio.StreamReader, *, head_only: bool = False
) -> tuple[str, dict[str, str], bytes]:
    """Read one request; header names in lower case, and a repeated header would show as `a, b`."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head[:-4].split("\r\n")
    headers: dict[str, str] = {}
    for one in fields:
        name, _, value = one.partition(": ")
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    length = 0 if head_only else int(headers.get("content-length", "0"))
    body = await reader.readexactly(length)
    return line, headers, body


@asynccontextmanager
async def receive(
    *acts: bytes | Act, tls: ssl.SSLContext | None = None, heads_only: bool = False
) -> AsyncIterator[Receiver]:
    """Run a receiver that answers its n-th request with the n-th act, and all further ones with the last.

    With `heads_only` it leaves the bodies of requests to the acts.
    """
    receiver = Receiver(port=0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connects += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                receiver.requests.append(await read_request(reader, head_only=heads_only))
                receiver.called.set()
                act = acts[min(len(receiver.requests), len(acts)) - 1]
                if isinstance(act, bytes):
                    writer.write(act)
                    await writer.drain()
                else:
                    await act(reader, writer)
                    break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over: tests provoke both
        finally:
            tasks.discard(task)
            writer.transport.abort()

    limit = 64 * 1024 if heads_only else 4 * 1024 * 1024
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, limit=limit)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=5)
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)


@asynccontextmanager
async def sending(
    *,
    policy: UrlPolicy = LAPTOP,
    names: Mapping[str, Sequence[str]] | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Sender]:
    """Run a sender; `names` replaces DNS."""

    async def lookup(host: str, port: int) -> Sequence[str]:
        assert port > 0
        if names is None or host not in names:
            raise OSError("no such name")
        return names[host]

    sender = Sender(
        policy=policy,
        resolver=None if names is None else lookup,
        ssl_context=trust,
        user_agent="reelbridge/test",
    )
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def exchanging(*, trust: ssl.SSLContext | None = None) -> AsyncIterator[HttpClient]:
    """Run a client without the address guard, as it is used for upstreams."""
    async with open_client(headers={"user-agent": "t"}, tls=trust) as exchanges:
        yield exchanges


async def post(
    sender: Sender,
    url: str,
    *,
    body: bytes = b"{}",
    timeout_s: float = 10.0,
    headers: dict[str, str] | None = None,
) -> ReceiverAnswer:
    """Post once and check what holds for every outcome: either status or failure, a sentence, and no address in it."""
    answer = await sender.post(url, headers=headers or {}, body=body, timeout_s=timeout_s)
    assert (answer.status is None) != (answer.failure is None)
    assert answer.reason.endswith(".")
    assert re.search(r"\d+\.\d+\.\d+\.\d+|::1|token=", answer.reason) is None
    assert len(answer.excerpt) <= 1024
    assert answer.duration_ms <= timeout_s * 1000 + 2000
    return answer
