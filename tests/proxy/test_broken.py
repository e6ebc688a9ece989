"""What becomes of a request when either side breaks off, stands still or goes away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.http.forwarder import Forwarder
from tests.proxy.wire import OK, Line, Proxied, proxying

PIECE = b"x" * 64 * 1024


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"Content-Length: 10", b"half!"),
        (b"Transfer-Encoding: chunked", b"5\r\nhalf!\r\n"),
        (b"Transfer-Encoding: chunked", b"a\r\nhalf!"),
        (b"Transfer-Encoding: chunked", b"5\r\nhalf!\r\nzz\r\n"),
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_body_that_breaks_off_is_not_made_whole(
    proxied: Proxied, head: bytes, part: bytes, version: bytes
) -> None:
    """The client sees a broken body, in HTTP/1.0 a reset, never a short one that looks good."""
    go_on = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        await writer.drain()
        await go_on.wait()
        writer.write(part)
        await writer.drain()

    proxied.upstream.answers = [answer]
    async with proxied.connect() as connection:
        await connection.send(proxied.write(b"GET /x HTTP/" + version))
        await proxied.upstream.wait(lambda upstream: bool(upstream.requests))
        go_on.set()
        answer_read = await connection.read()
        assert (answer_read.status, answer_read.is_whole) == (200, False)
        assert await connection.is_closed()


@pytest.mark.parametrize("method", [b"DELETE", b"PUT", b"PATCH", b"POST"])
async def test_a_request_that_changes_something_is_sent_once(proxied: Proxied, method: bytes) -> None:
    """Also over a connection that was used before and breaks under it."""
    proxied.upstream.answers = [OK, hang_up]
    assert (await proxied.ask()).status == 200
    proxied.upstream.answers = [OK, hang_up]
    answer = await proxied.ask(method + b" /x HTTP/1.1", b"Content-Length: 0")
    assert (answer.status, answer.first(b"x-reelbridge-error")) == (502, b"upstream_unreachable")
    assert len(proxied.upstream.requests) == 2


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("half", [False, True])
async def test_a_client_that_goes_away_ends_the_request(proxied: Proxied, *, half: bool) -> None:
    """While the provider is silent; a half-closed connection counts as one that has gone."""
    proxied.upstream.answers = [wait_for_end]
    async with proxied.connect() as connection:
        await connection.send(proxied.write())
        await proxied.upstream.wait(lambda upstream: bool(upstream.requests))
        if half:
            connection.writer.write_eof()
            await proxied.upstream.wait(lambda upstream: not upstream.open)
    await proxied.upstream.wait(lambda upstream: not upstream.open)


async def test_a_call_that_begins_work_goes_on_without_its_client(proxied: Proxied) -> None:
    """Also one that names no callback: broken off, it might be billed, and its work lost."""
    go_on, is_gone = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        if reader.at_eof():
            is_gone.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    proxied.prefix = b"/reelbot/api"
    proxied.upstream.answers = [answer, OK]
    async with proxied.connect() as connection:
        line = b"POST /v1/video/generate HTTP/1.1"
        await connection.send(proxied.write(line, b"Content-Length: 2", body=b"{}"))
        await proxied.upstream.wait(lambda upstream: bool(upstream.requests))
    assert (await proxied.ask()).status == 200  # by now the bridge knows that the client has gone
    go_on.set()
    await proxied.upstream.wait(lambda upstream: len(upstream.open) <= 1)
    assert not is_gone.is_set()


async def wait_for_end(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass


async def test_a_client_that_goes_away_ends_a_download_and_an_upload(proxied: Proxied) -> None:
    """In the middle of either body."""
    proxied.upstream.answers = [pour]
    async with proxied.connect() as connection:
        await connection.send(proxied.write())
        await connection.reader.readexactly(100_000)
    await proxied.upstream.wait(lambda upstream: not upstream.open)
    proxied.upstream.answers = [wait_for_end]
    proxied.upstream.reads_bodies = False
    async with proxied.connect() as connection:
        await connection.send(proxied.write(b"PUT /x HTTP/1.1", b"Content-Length: 99999999", body=PIECE))
        await proxied.upstream.wait(lambda upstream: len(upstream.requests) == 2)
    await proxied.upstream.wait(lambda upstream: not upstream.open)


async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with more than anybody takes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**12)
    while True:
        writer.write(PIECE)
        await writer.drain()


async def test_an_early_refusal_reaches_a_client_that_still_uploads(proxied: Proxied) -> None:
    """A 413 in the middle of a body, from a provider that reads no further."""
    proxied.upstream.reads_bodies = False
    proxied.upstream.answers = [b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"]
    async with proxied.connect() as connection:
        head = proxied.write(b"PUT /x HTTP/1.1", b"Content-Length: 20000000")
        sending = asyncio.create_task(send_quietly(connection, head, 20_000_000))
        answer = await connection.read()
        assert (answer.status, answer.body, answer.first(b"connection")) == (413, b"big", b"close")
        sending.cancel()


async def send_quietly(connection: Line, head: bytes, size: int) -> None:
    try:
        await connection.send(head)
        for _ in range(size // len(PIECE)):
            await connection.send(PIECE)
    except ConnectionError:
        pass


async def test_a_malformed_chunk_of_a_client_is_its_own_fault(proxied: Proxied) -> None:
    """It is a 400, and the provider's connection ends without the end of the body."""
    async with proxied.connect() as connection:
        await connection.send(
            proxied.write(b"POST /x HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
        )
        await proxied.upstream.wait(lambda upstream: upstream.connections == 1)
        await connection.send(b"zz\r\n")
        answer = await connection.read()
        assert answer.status == 400
        assert await connection.is_closed()
    await proxied.upstream.wait(lambda upstream: not upstream.open)
    assert proxied.upstream.requests == []


@pytest.mark.parametrize("path", [b"/v1/x", b"/v1/video/generate"])
async def test_a_body_that_becomes_malformed_is_a_400_whatever_it_is_for(
    proxied: Proxied, path: bytes
) -> None:
    """A call that begins work is read whole before it goes on, any other as it goes."""
    proxied.prefix = b"/reelbot/api"
    line = b"POST " + path + b" HTTP/1.1"
    async with proxied.connect() as connection:
        await connection.send(proxied.write(line, b"Transfer-Encoding: chunked"))
        assert (await proxied.ask()).status == 200  # by now the bridge has the head
        await connection.send(b"zz\r\n")
        answer = await connection.read()
        assert (answer.status, answer.first(b"x-reelbridge-error")) == (400, b"validation_error")
    assert len(proxied.upstream.requests) == 1


async def test_a_malformed_chunk_is_told_at_once_by_the_api_too(proxied: Proxied) -> None:
    """Whoever sends it need not wait until the time for a body is over."""
    async with proxied.connect() as connection:
        line = b"POST /v1/callbacks HTTP/1.1"
        await connection.send(
            proxied.write(line, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n", raw=True)
        )
        await connection.send(b"zz\r\n")
        assert (await connection.read()).status == 400
        assert await connection.is_closed()


@pytest.fixture
async def hurried(store_socket: Path) -> AsyncIterator[Proxied]:
    """A bridge that waits for nobody longer than a moment."""
    async with proxying(store_socket, forwarder=lambda: Forwarder(head_s=0.5, stall_s=0.5)) as running:
        yield running


async def test_a_provider_that_does_not_answer_is_a_504(hurried: Proxied) -> None:
    """The limit is 120 s in service."""
    hurried.upstream.answers = [wait_for_end]
    answer = await hurried.ask()
    assert (answer.status, answer.first(b"x-reelbridge-error")) == (504, b"upstream_timeout")


async def test_a_client_that_sends_no_further_is_a_408(hurried: Proxied) -> None:
    """The provider has the beginning of the body, and sees the connection end."""
    answer = await hurried.ask(b"PUT /x HTTP/1.1", b"Content-Length: 10", body=b"half!")
    assert (answer.status, answer.first(b"x-reelbridge-error")) == (408, b"request_timeout")
    await hurried.upstream.wait(lambda upstream: not upstream.open)


async def test_a_provider_that_stands_still_breaks_the_body_off(hurried: Proxied) -> None:
    """A client that waits for ever would be no better off."""

    async def stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")
        await wait_for_end(reader, writer)

    hurried.upstream.answers = [stop]
    answer = await hurried.ask()
    assert (answer.status, answer.is_whole) == (200, False)


async def test_a_client_that_reads_no_further_is_cut_off(hurried: Proxied) -> None:
    """The provider's connection ends with it, and others are answered meanwhile."""
    hurried.upstream.answers = [pour, OK]
    async with hurried.connect() as connection:
        await connection.send(hurried.write())
        await hurried.upstream.wait(lambda upstream: bool(upstream.requests))
        assert (await hurried.ask()).body == b"ok"
        await hurried.upstream.wait(lambda upstream: upstream.connections == 2 and len(upstream.open) <= 1)
