"""What reaches a server of the head that a caller gives: all of it and nothing else, unlike with `ClientSession`."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bridge.http.client.http_client import HttpClient
from bridge.http.client.response_head import Field
from tests.http.exchanges.play import HOST, Local, our_http_client
from tests.http.receivers import Receiver

GIVEN: list[Field] = [(b"X-A", b"1"), (b"x-a", b"2"), (b"ETag", b"x"), (b"X-Latin", b"caf\xe9")]
TARGET = "/a/../%7e%2fb"
COOKIE = b"HTTP/1.1 200 OK\r\nSet-Cookie: tenant=a; Path=/\r\nContent-Length: 0\r\n\r\n"


class Recorder(Receiver):
    """A receiver that keeps the heads of requests line by line, as they came."""

    heads: list[list[bytes]]


@asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    """Run a server that answers each request without a body with a cookie."""
    recorder = Recorder(port=0)
    recorder.heads = []
    ended = asyncio.Event()

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                recorder.heads.append(head.split(b"\r\n")[:-2])
                writer.write(COOKIE)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()
            ended.set()

    server = await asyncio.start_server(record, "127.0.0.1", 0)
    recorder.port = server.sockets[0].getsockname()[1]
    async with server:
        yield recorder
        await ended.wait()


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Local(), family=socket.AF_INET)
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened


async def get(client: HttpClient, recorder: Recorder, target: str, fields: list[Field]) -> None:
    until = asyncio.get_running_loop().time() + 20
    response = await client.request("GET", recorder.url("", host=HOST), target, fields, until=until)
    response.release()


async def test_a_head_is_sent_as_given() -> None:
    """Names in their case, repeated ones in their places, bytes that are not UTF-8, a target that looks odd."""
    async with recording() as recorder, our_http_client() as client:
        await get(client, recorder, TARGET, GIVEN)
    host = b"Host: peer.example:%d" % recorder.port
    fields = [b"%b: %b" % field for field in GIVEN]
    assert recorder.heads == [[b"GET " + TARGET.encode() + b" HTTP/1.1", host, *fields]]


async def test_client_session_sends_another_head() -> None:
    """It drops a byte, adds three fields of its own, and resolves dots and escapes in the target."""
    async with recording() as recorder, session() as http:
        given = [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in GIVEN]
        async with http.get(recorder.url(TARGET, host=HOST), headers=given):
            pass
    [[line, *fields]] = recorder.heads
    assert line == b"GET /~%2Fb HTTP/1.1"
    assert b"X-Latin: caf\xe9" not in fields
    assert b"X-Latin: caf" in fields
    added = {field.partition(b":")[0] for field in fields} - {name for name, _ in GIVEN} - {b"Host"}
    assert added == {b"Accept", b"Accept-Encoding", b"User-Agent"}


async def test_a_cookie_goes_back_to_nobody() -> None:
    """What one tenant's answer set must not go with another tenant's request."""
    async with recording() as recorder, our_http_client() as client:
        for _ in range(2):
            await get(client, recorder, "/", [])
    assert len(recorder.heads) == 2
    assert not any(line.lower().startswith(b"cookie") for head in recorder.heads for line in head)


async def test_client_session_sends_a_cookie_back() -> None:
    """Whoever makes the next request."""
    async with recording() as recorder, session() as http:
        for _ in range(2):
            async with http.get(recorder.url(host=HOST)):
                pass
    assert b"Cookie: tenant=a" in recorder.heads[1]
