"""Receivers that send too much, too early or wrongly: which response counts, and which connection is kept."""

import asyncio

import pytest

from bridge.domain.deliveries.retry import Verdict, judge
from bridge.domain.observation import UpstreamBroken
from bridge.http.client.client_errors import BodyError, ConnectTimeout
from bridge.http.client.http_client import LARGE_BYTES
from bridge.http.client.response_head import MAX_INFORMATIONAL
from bridge.http.upstream import Login, UpstreamClient
from bridge.providers.provider_spec import Standing
from bridge.providers.registry import KINDS
from bridge.providers.spec import ExtraWords
from tests.http.receivers import OK, exchanging, post, receive, sending

HEAD = b"HTTP/1.1 200 OK\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\n\r\n"
BUSY = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@pytest.mark.parametrize(
    "stray",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray", b"HTTP/1.1 200 OK\r\nContent-", b"ok", b"\r\n"],
    ids=["an answer", "part of one", "no answer", "a line's end"],
)
async def test_bytes_that_arrive_while_idle_are_no_response(stray: bytes) -> None:
    """A kept connection on which something arrived is replaced: all its later responses would be one behind."""
    idle = asyncio.Event()

    async def say_more(reader: Reader, writer: Writer) -> None:
        writer.write(OK)
        await idle.wait()
        writer.write(stray)
        await reader.read()

    async with receive(say_more, BUSY) as receiver, sending() as sender:
        assert (await post(sender, receiver.url())).status == 200
        assert sender._client is not None
        [kept] = sender._client._pool._open
        idle.set()
        async with asyncio.timeout(10):
            await kept.wait_closed()
        assert (await post(sender, receiver.url())).status == 500
    assert (len(receiver.requests), receiver.connects) == (2, 2)


async def test_a_receiver_that_speaks_first_gets_one_connection() -> None:
    """On a new connection such bytes are the response, and not a reason to open one connection after another."""
    connects = 0
    gone = asyncio.Event()

    async def speak_first(reader: Reader, writer: Writer) -> None:
        nonlocal connects
        connects += 1
        writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(speak_first, "127.0.0.1", 0)
    async with server:
        async with sending() as sender:
            answer = await post(sender, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await gone.wait()
    assert (answer.status, connects) == (503, 1)


async def _inform_for_ever(_reader: Reader, writer: Writer) -> None:
    while True:
        writer.write(EARLY * 1000)
        await writer.drain()


async def test_informational_answers_are_limited() -> None:
    """Sixteen informational responses are skipped; a receiver that sends only those cannot keep a worker busy."""
    few, many = EARLY * MAX_INFORMATIONAL + OK, EARLY * (MAX_INFORMATIONAL + 2)
    async with receive(few, many, _inform_for_ever) as receiver, sending() as sender:
        answers = [await post(sender, receiver.url(), timeout_s=30) for _ in range(3)]
    assert [(answer.status, answer.failure) for answer in answers] == [
        (200, None),
        (None, "header"),
        (None, "header"),
    ]


@pytest.mark.parametrize(
    ("answer_bytes", "status"),
    [
        (OK + b"EXTRA", 200),
        (EARLY + OK + b"EXTRA", 200),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204),
        (b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nEXTRA", 201),
    ],
    ids=["surplus", "after a hint", "204 with a body", "chunks"],
)
async def test_a_success_counts_whatever_follows_it(answer_bytes: bytes, status: int) -> None:
    """The receiver has accepted the event: it is not sent again, and the connection is not used again."""
    async with receive(answer_bytes, OK) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
        assert (await post(sender, receiver.url())).status == 200
    assert (answer.status, judge(answer)) == (status, Verdict.SUCCEEDED)
    assert "goes on behind its end" in answer.reason
    assert receiver.connects == 2


async def test_retry_after_is_read_from_a_refusal_with_surplus_bytes() -> None:
    """The headers of a refusal are read like those of any response."""
    refusal = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\nslow down"
    async with receive(refusal) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.retry_after_s) == (429, 7)


async def test_an_upstreams_status_counts_whatever_follows_it() -> None:
    """A refused credential counts as refused; a job whose state cannot be read has no state."""
    refused = b"HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\n{}EXTRA"
    async with (
        receive(refused, OK + b"EXTRA") as upstream,
        UpstreamClient(user_agent="t", words=ExtraWords()) as reads,
    ):
        login = Login(provider="reelmirror", base_url=upstream.url(""), credential="rm_" + "b" * 32)
        assert await reads.check(login, now_ms=0) is Standing.REFUSED
        answer = await reads.read(login, KINDS["sync_job"], "1", now_ms=0)
    assert isinstance(answer.result, UpstreamBroken)
    assert "HTTP 200" in answer.result.reason


async def test_a_body_that_can_no_longer_come_is_not_awaited() -> None:
    """Broken chunking ends the body, even while the receiver keeps its side open."""
    read = asyncio.Event()

    async def break_down(reader: Reader, writer: Writer) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await read.wait()
        writer.write(b"ZZ\r\nfoo")
        await reader.read()

    async with receive(break_down) as receiver, exchanging() as exchanges:
        until = asyncio.get_running_loop().time() + 60
        answer = await exchanges.post(receiver.url(""), "/", {}, b"{}", until=until)
        assert await answer.body.read() == b"ok"
        read.set()
        async with asyncio.timeout(30):
            with pytest.raises(BodyError):
                await answer.body.read()
        answer.close()


@pytest.mark.parametrize(
    ("answer_bytes", "size", "connects"),
    [
        (BUSY, LARGE_BYTES, 2),
        (BUSY, 100, 1),
        (OK, LARGE_BYTES, 1),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 100, 2),
    ],
    ids=["large and refused", "small and refused", "large and taken", "switched without saying to what"],
)
async def test_a_connection_that_may_hold_a_rest_is_not_kept(
    answer_bytes: bytes, size: int, connects: int
) -> None:
    """What a receiver has not read of a refused request would come before the next one."""
    async with receive(answer_bytes) as receiver, sending() as sender:
        for _ in range(2):
            assert (await post(sender, receiver.url(), body=b"x" * size)).failure is None
    assert (len(receiver.requests), receiver.connects) == (2, connects)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-More: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nRetry-After: 30000\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_025 + b"0\r\n\r\n",
    ],
    ids=["half a head behind it", "a trailer", "many small pieces"],
)
async def test_an_answer_leaves_nothing_for_the_next(first: bytes) -> None:
    second = b"HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy"
    async with receive(first, second) as receiver, sending() as sender:
        assert (await post(sender, receiver.url())).status == 200
        answer = await post(sender, receiver.url())
        assert (answer.status, answer.retry_after_s, answer.excerpt) == (503, None, "busy")


async def test_a_body_of_many_small_pieces_that_is_read_in_between_ends() -> None:
    """The parser holds back what comes after a pause; the reader must resume it."""
    pieces = 4_097  # one more than are read before a pause, with this size of buffer
    read = asyncio.Event()

    async def in_two_parts(_: Reader, writer: Writer) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * pieces)
        await read.wait()
        writer.write(b"1\r\nx\r\n1\r\nx\r\n0\r\n\r\n")

    async with receive(in_two_parts) as receiver, exchanging() as exchanges, asyncio.timeout(20):
        until = asyncio.get_running_loop().time() + 20
        answer = await exchanges.get(f"http://127.0.0.1:{receiver.port}", "/", {}, until=until)
        body = b""
        while len(body) < pieces:
            body += await answer.body.read()
        read.set()
        while piece := await answer.body.read():
            body += piece
        answer.release()
    assert len(body) == pieces + 2


async def test_nothing_is_sent_after_the_time_limit() -> None:
    """What would be sent after its time limit could not be answered in time, and would be sent again later."""
    async with receive(OK) as receiver, exchanging() as exchanges:
        until = asyncio.get_running_loop().time() - 0.01
        with pytest.raises(ConnectTimeout):
            await exchanges.post(f"http://127.0.0.1:{receiver.port}", "/", {}, b"{}", until=until)
    assert receiver.connects == 0
