"""Receivers that are slow, broken or malicious: bounded time, bounded memory, one attempt."""

import asyncio
import gzip
import socket
import struct
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from bridge.domain.deliveries.retry import Verdict, judge
from tests.http.receivers import OK, post, receive, sending

BOMB = gzip.compress(b"\0" * 50_000_000, 9)
HEAD = b"HTTP/1.1 200 OK\r\n"
Writer = asyncio.StreamWriter
Reader = asyncio.StreamReader


async def _flood(_reader: Reader, writer: Writer) -> None:
    """Send up to 1 GiB, until the other side stops reading."""
    writer.write(HEAD + b"Content-Length: 1073741824\r\n\r\n")
    for _ in range(16384):
        writer.write(b"x" * 65536)
        await writer.drain()


async def _endless_chunks(_reader: Reader, writer: Writer) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def _bomb(_reader: Reader, writer: Writer) -> None:
    writer.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    await writer.drain()


async def _empty_members(_reader: Reader, writer: Writer) -> None:
    """Yield compressed bytes without end that decompress to nothing (stored blocks of length 0)."""
    writer.write(HEAD + b"Content-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x78\x9c\r\n")
    block = b"\x00\x00\x00\xff\xff" * 1000
    while True:
        writer.write(b"%x\r\n" % len(block) + block + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("act", "excerpt"),
    [(_flood, "x" * 1024), (_endless_chunks, "x" * 1024), (_bomb, "\ufffd" * 1024), (_empty_members, "")],
)
async def test_a_huge_answer_costs_neither_memory_nor_time(
    act: Callable[[Reader, Writer], Awaitable[None]], excerpt: str
) -> None:
    """16 KB are read, the connection is closed, and the status counts: a second POST would do harm."""
    async with receive(act) as receiver, sending() as sender:
        tracemalloc.start()
        try:
            answer = await post(sender, receiver.url())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (answer.status, answer.excerpt, judge(answer)) == (200, excerpt, Verdict.SUCCEEDED)
    assert "cut after 16 KB" in answer.reason
    assert peak < 3_000_000  # includes both sides' socket buffers
    assert len(receiver.requests) == 1


async def _silent(reader: Reader, _writer: Writer) -> None:
    await reader.read()


async def _drip(reader: Reader, writer: Writer, begun: bytes, byte: bytes) -> None:
    writer.write(begun)
    while not reader.at_eof():
        writer.write(byte)
        await writer.drain()
        await asyncio.sleep(0.02)


async def _drip_hints(reader: Reader, writer: Writer) -> None:
    await _drip(reader, writer, b"HTTP/1.1 103 Early Hints\r\nX-A: ", b"b")


async def _drip_headers(reader: Reader, writer: Writer) -> None:
    await _drip(reader, writer, HEAD + b"X-A: ", b"b")


async def _drip_body(_reader: Reader, writer: Writer) -> None:
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("act", [_silent, _drip_hints])
async def test_an_answer_that_never_comes_is_a_timeout(
    act: Callable[[Reader, Writer], Awaitable[None]],
) -> None:
    """The time limit covers the whole attempt; a byte now and then does not extend it."""
    async with receive(act) as receiver, sending() as sender:
        answer = await post(sender, receiver.url(), timeout_s=0.5)
    assert (answer.status, answer.failure) == (None, "timeout")
    assert 400 <= answer.duration_ms < 2000
    assert len(receiver.requests) == 1
    assert (answer.connected, answer.sent) == (True, True)
    assert "answer at once, work later" in answer.reason


async def test_a_request_that_did_not_leave_whole_is_no_unanswered_one() -> None:
    """The receiver cannot be working on what it has not read."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it accepts and reads nothing
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        async with sending() as sender:
            answer = await post(sender, url, body=b"x" * 40_000_000, timeout_s=0.5)
    assert (answer.failure, answer.connected, answer.sent) == ("timeout", True, False)
    assert "work later" not in answer.reason


async def test_no_connection_says_nothing_of_the_url() -> None:
    """A closed port, and a name that is not known."""
    async with receive(OK) as receiver, sending(names={}) as sender:
        unknown = await post(sender, receiver.url(host="nowhere.example"))
    async with sending() as sender:
        closed = await post(sender, receiver.url())
    assert [(each.connected, each.sent) for each in (unknown, closed)] == [(False, False)] * 2


@pytest.mark.parametrize("act", [_drip_headers, _drip_body])
async def test_a_response_that_drips_is_cut_at_the_deadline_and_its_status_counts(
    act: Callable[[Reader, Writer], Awaitable[None]],
) -> None:
    """A 2xx is final even when its headers or its body never end."""
    async with receive(act) as receiver, sending() as sender:
        answer = await post(sender, receiver.url(), timeout_s=0.5)
    assert (answer.status, judge(answer), len(receiver.requests)) == (200, Verdict.SUCCEEDED, 1)
    assert "did not end in time" in answer.reason
    assert answer.duration_ms < 2000


async def _reset(_reader: Reader, writer: Writer) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _hang_up(_reader: Reader, writer: Writer) -> None:
    writer.close()


@pytest.mark.parametrize("act", [_reset, _hang_up])
async def test_a_connection_that_breaks_after_the_request_is_one_failed_attempt(
    act: Callable[[Reader, Writer], Awaitable[None]],
) -> None:
    """The receiver may have acted on the request, so it is not repeated silently."""
    async with receive(act) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.failure, len(receiver.requests), receiver.connects) == ("reset", 1, 1)


@pytest.mark.parametrize("act", [_reset, _hang_up])
async def test_a_kept_connection_that_breaks_under_a_request_is_not_tried_again(
    act: Callable[[Reader, Writer], Awaitable[None]],
) -> None:
    """Only a GET or HEAD is repeated on a stale connection."""
    async with receive(OK, act, OK) as receiver, sending() as sender:
        assert (await post(sender, receiver.url())).status == 200
        answer = await post(sender, receiver.url())
    assert (answer.failure, len(receiver.requests), receiver.connects) == ("reset", 2, 1)


async def test_a_connection_closed_while_idle_is_replaced_without_a_failure() -> None:
    """n8n's server closes idle connections after five seconds; that is not a failed attempt."""
    idle = asyncio.Event()

    async def answer_and_close_later(_reader: Reader, writer: Writer) -> None:
        writer.write(OK)
        await writer.drain()
        await idle.wait()
        writer.close()

    async with receive(answer_and_close_later, OK) as receiver, sending() as sender:
        assert (await post(sender, receiver.url())).status == 200
        assert sender._client is not None
        [kept] = sender._client._pool._open
        idle.set()
        await kept.wait_closed()
        assert (await post(sender, receiver.url())).status == 200
    assert (len(receiver.requests), receiver.connects) == (2, 2)


async def test_connections_are_kept() -> None:
    """Twenty deliveries in a row use one connection."""
    async with receive(OK) as receiver, sending() as sender:
        for _ in range(20):
            assert (await post(sender, receiver.url())).status == 200
    assert (len(receiver.requests), receiver.connects) == (20, 1)


@pytest.mark.parametrize(
    "answer_bytes",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["no http", "no status", "below 100"],
)
async def test_an_answer_that_is_not_http_is_a_failed_attempt(answer_bytes: bytes) -> None:
    """An answer that is not HTTP fails the attempt, and its bytes appear nowhere."""
    async with receive(answer_bytes) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.failure, answer.excerpt, len(receiver.requests)) == ("header", "", 1)


@pytest.mark.parametrize(
    ("fields", "body", "note"),
    [
        (
            b"Content-Encoding: gzip\r\nContent-Length: 20\r\n",
            gzip.compress(b"x" * 100_000)[:20],
            "broke off",
        ),
        (b"Content-Encoding: gzip\r\nContent-Length: 8\r\n", b"not gzip", "not in the coding"),
        (b"Content-Encoding: br\r\nContent-Length: 3\r\n", b"abc", "not asked for"),
        (b"Content-Encoding: gzip\r\nContent-Length: 0\r\n", b"", "broke off"),
        (b"Content-Length: 10\r\nConnection: close\r\n", b"abc", "broke off"),
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\nabc\r\n", "malformed"),
    ],
    ids=["truncated gzip", "no gzip", "brotli", "empty gzip", "short body", "bad chunk"],
)
async def test_a_broken_body_leaves_the_status_valid(fields: bytes, body: bytes, note: str) -> None:
    """The receiver said 200; what is wrong with the rest stands in the reason."""

    async def answer_and_close(_reader: Reader, writer: Writer) -> None:
        writer.write(HEAD + fields + b"\r\n" + body)
        await writer.drain()
        writer.close()

    async with receive(answer_and_close) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, judge(answer), len(receiver.requests)) == (200, Verdict.SUCCEEDED, 1)
    assert note in answer.reason


async def test_a_left_over_response_does_not_answer_the_next_request() -> None:
    """A receiver that sends two responses to one request cannot acknowledge the next delivery with the second."""
    fake = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake"
    busy = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
    async with receive(OK + fake, busy) as receiver, sending() as sender:
        await post(sender, receiver.url())
        answer = await post(sender, receiver.url())
    assert (answer.status, len(receiver.requests)) == (500, 2)


async def test_a_header_that_slipped_through_is_a_failure_and_no_injection() -> None:
    """Headers are checked at registration; if a bad one arrives here all the same, nothing is sent."""
    async with receive(OK) as receiver, sending() as sender:
        answer = await post(sender, receiver.url(), headers={"X-A": "a\r\nX-B: b"})
    assert (answer.failure, receiver.requests) == ("internal", [])
