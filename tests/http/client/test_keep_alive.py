"""Receivers that close idle connections: no request meets a connection that is just being closed."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.http.client.http_client import HttpClient
from bridge.http.client.keep_alive import MAX_IDLE_S, KeepAlive
from tests.http.receivers import OK, post, read_request, receive, sending

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class IdleCloser:
    """A receiver that closes a connection which was idle for `idle_s`; `promise` is its Keep-Alive header."""

    def __init__(self, *, idle_s: float, promise: str = "") -> None:
        header = f"Keep-Alive: {promise}\r\n" if promise else ""
        self.answer = f"HTTP/1.1 200 OK\r\n{header}Content-Length: 2\r\n\r\nok".encode()
        self.idle_s = idle_s
        self.requests = 0
        self.connects = 0
        self.port = 0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connects += 1
        try:
            while True:
                async with asyncio.timeout(self.idle_s):
                    await read_request(reader)
                self.requests += 1
                writer.write(self.answer)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # idle for too long, or the client has gone
        finally:
            writer.close()


@asynccontextmanager
async def closing_idle(*, idle_s: float, promise: str = "") -> AsyncIterator[IdleCloser]:
    closer = IdleCloser(idle_s=idle_s, promise=promise)
    server = await asyncio.start_server(closer.serve, "127.0.0.1", 0)
    closer.port = server.sockets[0].getsockname()[1]
    async with server:
        yield closer


@pytest.mark.slow
@pytest.mark.parametrize("promise", ["timeout={}", ""], ids=["promised", "silent"])
async def test_ninety_deliveries_to_receivers_that_close_idle_connections_take_ninety_attempts(
    promise: str,
) -> None:
    """Pauses around the receivers' limits of 1 to 5 s: where a kept connection may be closing, a new one is opened."""
    dice = random.Random(7)
    failures: list[tuple[float, str]] = []

    async def deliver(idle_s: float) -> None:
        async with closing_idle(idle_s=idle_s, promise=promise.format(round(idle_s))) as receiver:
            for _ in range(6):
                answer = await post(sender, f"http://127.0.0.1:{receiver.port}/")
                if answer.failure:
                    failures.append((idle_s, answer.failure))
                # As long as the receiver waits, give or take what a packet takes: the worst moment.
                await asyncio.sleep(idle_s + dice.uniform(-0.003, 0.003))
            assert receiver.requests == 6

    async with sending() as sender, asyncio.TaskGroup() as group:
        for idle_s in (1.0, 2.0, 3.0, 4.0, 5.0) * 3:
            group.create_task(deliver(idle_s))
    assert failures == []


async def test_connection_close_is_honoured() -> None:
    """A response that announces the end of its connection is its last, even if the receiver leaves it open."""
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with receive(last, OK) as receiver, sending() as sender:
        for _ in range(3):
            assert (await post(sender, receiver.url())).status == 200
    assert receiver.connects == 2


@pytest.mark.parametrize(
    ("header", "idle_s"),
    [
        ("timeout=5, max=100", 2.5),
        ("max=100,timeout=1", 0.5),
        ('Timeout = "4"', 2.0),
        ("timeout=0", 0.0),
        ("timeout=75", MAX_IDLE_S),
        ("max=100", 0.5),
        ("timeout=-1", 0.5),
        ("", 0.5),
    ],
)
def test_half_of_the_promised_time_is_used(header: str, idle_s: float) -> None:
    """The receiver's clock began earlier than ours, and a packet takes its time; never more than 3 s."""
    assert KeepAlive(tls=False).limit_s(header) == idle_s


async def test_a_closed_idle_connection_teaches_the_limit_of_its_origin() -> None:
    """A receiver that closes before what it promises is believed by what it does."""
    async with closing_idle(idle_s=0.6, promise="timeout=60") as receiver, sending() as sender:
        assert sender._client is not None
        known = sender._client._know(f"http://127.0.0.1:{receiver.port}").keep_alive
        assert known.limit_s(None) == 0.5
        assert (await post(sender, f"http://127.0.0.1:{receiver.port}/")).status == 200
        async with asyncio.timeout(10):
            while known.limit_s(None) == 0.5:  # noqa: ASYNC110 -- nothing tells when a connection was lost
                await asyncio.sleep(0.01)
    assert 0.25 <= known.limit_s("timeout=60") <= 0.45


async def test_connections_that_we_close_teach_nothing() -> None:
    """Our own end of the connection says nothing about the receiver."""
    async with receive(OK) as receiver, sending() as sender:
        assert (await post(sender, receiver.url())).status == 200
        client: HttpClient | None = sender._client
        assert client is not None
        known = client._know(receiver.url("")).keep_alive
        await client.close()
    assert known.limit_s("timeout=60") == MAX_IDLE_S
