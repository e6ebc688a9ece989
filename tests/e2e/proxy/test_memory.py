"""Large bodies and clients that stop reading, through the process as it runs in service: its memory stays flat."""

import asyncio
import socket
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, Bridge, Simulator, running_bridge

pytestmark = pytest.mark.slow

PIECE = b"x" * 64 * 1024
LARGE = 256 * 1024 * 1024
STALLED = 200
AUTH = {"Authorization": f"Bearer {API_KEY}"}


class Source:
    """An upstream that pours bytes, takes bytes, or answers shortly; `full` counts those that nobody takes any more."""

    def __init__(self) -> None:
        self.url = ""
        self.received = 0
        self.full = 0
        self.is_full = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"PUT"):
                    await self._take(reader)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                elif b"/stalled" in head:
                    await self._pour(writer, 10 * LARGE)
                elif b"/large" in head:
                    await self._pour(writer, LARGE)
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        while self.received < LARGE:
            self.received += len(await reader.readexactly(len(PIECE)))

    async def _pour(self, writer: asyncio.StreamWriter, size: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for number in range(size // len(PIECE)):
            writer.write(PIECE)
            if writer.transport.get_write_buffer_size() and size > LARGE and number:
                async with self.is_full:
                    self.full += 1
                    self.is_full.notify_all()
                size = LARGE  # it counts once
            await writer.drain()


@asynccontextmanager
async def running_source() -> AsyncIterator[Source]:
    source = Source()
    server = await asyncio.start_server(source.serve, "127.0.0.1", 0)
    source.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield source
    finally:
        server.close()


def peak_kb(bridge: Bridge) -> int:
    """Return the largest memory that the API process has had so far."""
    (api,) = bridge.pids(" api")
    lines = Path(f"/proc/{api}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def p50_ms(http: aiohttp.ClientSession, bridge: Bridge) -> float:
    took = []
    for _ in range(100):
        began = time.perf_counter()
        async with http.get(f"{bridge.url}/reelbot/api/v1/small", headers=AUTH) as answer:
            assert (answer.status, await answer.read()) == (200, b"{}")
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def test_memory_stays_flat(simulator: Simulator, tmp_path: Path) -> None:
    """A quarter of a gigabyte down and up, then 200 clients that stop reading, beside whom others are answered."""
    async with AsyncExitStack() as running:
        source = await running.enter_async_context(running_source())
        bridge = running.enter_context(running_bridge(simulator, tmp_path, REELBOT_BASE_URL=source.url))
        http = await running.enter_async_context(aiohttp.ClientSession())
        alone_ms = await p50_ms(http, bridge)
        before_kb = peak_kb(bridge)
        async with http.get(f"{bridge.url}/reelbot/api/v1/large", headers=AUTH) as answer:
            read = 0
            async for piece in answer.content.iter_any():
                read += len(piece)
        assert read == LARGE
        sized = {**AUTH, "Content-Length": str(LARGE)}
        url = f"{bridge.url}/reelbot/api/v1/large"
        async with http.put(url, headers=sized, data=make_pieces()) as answer:
            assert (answer.status, source.received) == (200, LARGE)
        assert peak_kb(bridge) - before_kb < 50 * 1024
        async with AsyncExitStack() as opened:
            for _ in range(STALLED):
                opened.callback((await stall(bridge)).close)
            async with asyncio.timeout(30), source.is_full:
                await source.is_full.wait_for(lambda: source.full == STALLED)
            beside_ms = await p50_ms(http, bridge)
            assert beside_ms < 10 * alone_ms
            assert peak_kb(bridge) - before_kb < 110 * 1024


async def make_pieces() -> AsyncIterator[bytes]:
    for _ in range(LARGE // len(PIECE)):
        yield PIECE


async def stall(bridge: Bridge) -> socket.socket:
    """Ask for a large body over a connection that is never read."""
    port = int(bridge.url.rpartition(":")[2])
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)  # noqa: FBT003 -- the socket's interface
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    head = f"GET /reelbot/api/v1/stalled HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {API_KEY}\r\n\r\n"
    await loop.sock_sendall(client, head.encode())
    return client
