"""Bodies that are sent and read piece by piece: framing, limits, backpressure, and who stops when."""

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trustme

from bridge.http.client.client_errors import BodyError, UnansweredError, UploadError
from bridge.http.client.http_client import HttpClient
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.upload import Upload
from tests.http.receivers import OK, exchanging, receive

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
PIECE = b"x" * 65_536
LARGE = 96 * 1024 * 1024
# Both sides' socket buffers are the kernel's; a few pieces may be under way in this process, on either side of it.
FLAT = 3_000_000


async def pieces(*some: bytes) -> AsyncIterator[bytes]:
    for piece in some:
        yield piece


async def many(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context for `localhost` and one that trusts it."""
    authority = trustme.CA()
    server, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(trust)
    return server, trust


async def put(client: HttpClient, url: str, upload: Upload, *, method: str = "PUT") -> HttpResponse:
    until = asyncio.get_running_loop().time() + 20
    return await client.request(method, url, "/", [], body=upload, until=until)


async def read_all(response: HttpResponse) -> bytes:
    body = b""
    while piece := await response.body.read():
        body += piece
    return body


async def read_chunked(reader: Reader) -> list[bytes]:
    """Read a chunked body as it is framed on the wire; the last chunk is empty."""
    chunks: list[bytes] = []
    while not chunks or chunks[-1]:
        size = int(await reader.readuntil(b"\r\n"), 16)
        chunks.append((await reader.readexactly(size + 2))[:-2])
    return chunks


def patient(source: AsyncIterator[bytes], size: int | None = None) -> Upload:
    return Upload(pieces=source, size=size, stall_s=20, answer_s=20)


async def test_a_body_of_known_length_is_sent_with_it() -> None:
    """The receiver sees one Content-Length and the pieces joined, and the connection is kept."""
    async with receive(OK) as receiver, exchanging() as client:
        for _ in range(2):
            response = await put(client, receiver.url(""), patient(pieces(b"ab", b"", b"cd"), 4))
            assert (response.status, await read_all(response)) == (200, b"ok")
            response.release()
    assert [request[2] for request in receiver.requests] == [b"abcd"] * 2
    assert receiver.requests[0][1]["content-length"] == "4"
    assert receiver.connects == 1


async def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    """An empty piece is left out: it would end the body."""
    sent: list[bytes] = []

    async def read_chunks(reader: Reader, writer: Writer) -> None:
        sent.extend(await read_chunked(reader))
        writer.write(OK)

    async with receive(read_chunks) as receiver, exchanging() as client:
        response = await put(client, receiver.url(""), patient(pieces(b"ab", b"", b"cde")))
        assert response.status == 200
        response.close()
    assert sent == [b"ab", b"cde", b""]
    assert receiver.requests[0][1]["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("size", [3, 5])
async def test_a_body_of_another_length_is_never_sent_whole(size: int) -> None:
    """Too many bytes would be read as another request, too few would never end: the connection is closed."""

    async def read_to_the_end(reader: Reader, _writer: Writer) -> None:
        with suppress(ConnectionError):
            seen.append(await reader.read())
        ended.set()

    seen: list[bytes] = []
    ended = asyncio.Event()
    async with receive(read_to_the_end, heads_only=True) as receiver, exchanging() as client:
        with pytest.raises(UploadError):
            await put(client, receiver.url(""), patient(pieces(b"ab", b"cd"), size))
        async with asyncio.timeout(10):
            await ended.wait()
    assert all(len(body) < 5 and len(body) != size for body in seen)


async def test_what_the_source_raises_ends_the_request() -> None:
    """Whoever hands the pieces in may break off: the receiver sees no whole body."""
    broken = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"ab"
        raise ConnectionResetError

    async def watch(reader: Reader, _writer: Writer) -> None:
        try:
            await read_chunked(reader)
        finally:
            broken.set()

    async with receive(watch) as receiver, exchanging() as client:
        with pytest.raises(ConnectionResetError):
            await put(client, receiver.url(""), patient(source()))
        async with asyncio.timeout(10):
            await broken.wait()


async def test_an_early_refusal_stops_the_upload() -> None:
    """A 413 while 20 MB are under way is returned at once; the rest is not sent, and the connection not used again."""
    given = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(320):
            given += len(PIECE)
            yield PIECE

    async def refuse(reader: Reader, writer: Writer) -> None:
        await reader.readexactly(100_000)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await hold.wait()

    hold = asyncio.Event()
    async with receive(refuse, heads_only=True) as receiver, exchanging() as client:
        response = await put(client, receiver.url(""), patient(source()), method="POST")
        assert (response.status, await read_all(response)) == (413, b"big")
        response.release()
        hold.set()
    assert given < 320 * len(PIECE)
    assert receiver.connects == 1


async def test_a_success_before_the_end_of_the_upload_does_not_stop_it() -> None:
    """A receiver may answer while it reads: what it still expects is sent."""
    go_on = asyncio.Event()
    got = bytearray()
    whole = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"ab"
        await go_on.wait()
        yield b"cd"

    async def echo(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for _ in range(2):
            writer.write(await reader.readexactly(2))
        whole.set()
        await reader.read()

    async with receive(echo, heads_only=True) as receiver, exchanging() as client, asyncio.timeout(20):
        response = await put(client, receiver.url(""), patient(source(), 4))
        got += await response.body.read()
        go_on.set()
        got += await read_all(response)
        await whole.wait()
        response.release()
    assert got == b"abcd"


async def test_a_peer_that_stops_reading_is_left() -> None:
    """The time limit of a streamed request runs while nothing moves, not while it makes progress."""

    async def deaf(_reader: Reader, _writer: Writer) -> None:
        await hold.wait()

    hold = asyncio.Event()
    async with receive(deaf, heads_only=True) as receiver, exchanging() as client:
        stalling = Upload(pieces=many(1000), stall_s=0.3, answer_s=20)
        with pytest.raises(TimeoutError) as late:
            await put(client, receiver.url(""), stalling)
        assert not isinstance(late.value, UnansweredError)
        hold.set()


async def test_a_source_that_stalls_leaves_the_request_unsent() -> None:
    """A receiver that waits for the rest of a body has not been given the request."""

    async def stall() -> AsyncIterator[bytes]:
        yield b"ab"
        await asyncio.Event().wait()

    async def silent(reader: Reader, _writer: Writer) -> None:
        await reader.read()

    async with receive(silent, heads_only=True) as receiver, exchanging() as client:
        with pytest.raises(TimeoutError) as late:
            await put(client, receiver.url(""), Upload(pieces=stall(), stall_s=0.2, answer_s=20))
    assert not isinstance(late.value, UnansweredError)


async def test_an_answer_is_awaited_from_the_end_of_the_upload() -> None:
    """An upload may take longer than its answer may."""
    turns = 0

    async def slow_source() -> AsyncIterator[bytes]:
        nonlocal turns
        for _ in range(4):
            await asyncio.sleep(0.15)
            turns += 1
            yield b"x"

    async def silent(reader: Reader, _writer: Writer) -> None:
        await reader.read()

    async with receive(silent, heads_only=True) as receiver, exchanging() as client:
        with pytest.raises(UnansweredError):
            await put(client, receiver.url(""), Upload(pieces=slow_source(), stall_s=5, answer_s=0.2))
    assert turns == 4


async def test_a_large_upload_takes_no_memory() -> None:
    """What the receiver has not taken is not asked of the source."""

    async def swallow(reader: Reader, writer: Writer) -> None:
        left = LARGE
        while left:
            left -= len(await reader.read(65_536))
        writer.write(OK)

    async with receive(swallow, heads_only=True) as receiver, exchanging() as client:
        tracemalloc.start()
        try:
            response = await put(client, receiver.url(""), patient(many(LARGE // len(PIECE)), LARGE))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert response.status == 200
        response.close()
    assert peak < FLAT


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_a_large_download_takes_no_memory(*, chunked: bool, tls: bool) -> None:
    """What nobody has read yet stays with the receiver, which has to wait."""
    server, trust = tls_contexts() if tls else (None, None)

    async def send(_reader: Reader, writer: Writer) -> None:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % LARGE
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        for _ in range(LARGE // len(PIECE)):
            writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
        await hold.wait()

    hold = asyncio.Event()
    async with receive(send, tls=server) as receiver, exchanging(trust=trust) as client:
        until = asyncio.get_running_loop().time() + 20
        origin = receiver.url("", scheme="https" if tls else "http", host="localhost")
        response = await client.request("GET", origin, "/", [], until=until)
        tracemalloc.start()
        try:
            size = 0
            while piece := await response.body.read():
                size += len(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        response.release()
        hold.set()
    assert size == LARGE
    assert peak < FLAT


async def test_a_reader_that_stops_stops_the_peer() -> None:
    """Without a reader, no more arrives than one read in advance and what the kernel holds."""
    written = 0
    stalled = asyncio.Event()

    async def send(_reader: Reader, writer: Writer) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        try:
            while True:
                writer.write(PIECE)
                written += len(PIECE)
                async with asyncio.timeout(0.5):
                    await writer.drain()
        except TimeoutError:
            stalled.set()

    async with receive(send) as receiver, exchanging() as client, asyncio.timeout(30):
        until = asyncio.get_running_loop().time() + 20
        response = await client.request("GET", receiver.url(""), "/", [], until=until)
        await stalled.wait()
        assert len(response.body.read_nowait()) <= 3 * len(PIECE)
        response.close()
    assert written < LARGE // 4


async def test_a_body_that_breaks_off_is_no_short_body() -> None:
    """A peer that dies in the middle of a chunk leaves an error behind what arrived."""

    async def die(_reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")

    async with receive(die) as receiver, exchanging() as client:
        until = asyncio.get_running_loop().time() + 20
        response = await client.request("GET", receiver.url(""), "/", [], until=until)
        with pytest.raises(BodyError, match="broke off"):
            await read_all(response)
        response.close()
