"""Heads that RFC 9112 does not allow, or that are long: the status counts, and the body is read where it can be."""

import asyncio
import contextlib
import time

import pytest

from bridge.domain.deliveries.retry import Verdict, judge
from bridge.domain.observation import Observed
from bridge.http.client.response_head import MAX_HEAD_BYTES, HeadError, HeadReader
from bridge.http.upstream import Login, UpstreamClient
from bridge.providers.provider_spec import Standing
from bridge.providers.registry import KINDS
from bridge.providers.spec import ExtraWords
from tests.http.receivers import OK, post, receive, sending

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
MANY = b"".join(b"X-%d: y\r\n" % n for n in range(1000))

# Fields of a 200 whose body is "ok".
ODD_FIELDS = {
    "a field of 9 KB": b"X-Policy: " + b"p" * 9_000 + b"\r\n" + LENGTH,
    "a field of 60 KB": b"X-Policy: " + b"p" * 60_000 + b"\r\n" + LENGTH,
    "a thousand fields": MANY + LENGTH,
    "the same length twice": LENGTH * 2,
    "the same length twice, in one field": b"Content-Length: 2, 2\r\n",
    "a length and chunks": b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n",
    "a blank before the colon": b"Content-Length : 2\r\n",
    "a line that is no field": b"no field\r\n" + LENGTH,
    "NUL in a field": b"X-A: \0\r\n" + LENGTH,
    "a folded field": b"X-A: a\r\n b\r\n" + LENGTH,
    "not UTF-8": b"X-A: \xff\xfe\r\n" + LENGTH,
    "line feeds alone": b"X-A: b\n" + LENGTH,
}
# What ends a response whose status has come, without a body; then the connection is closed.
CUT_SHORT = {
    "200, then nothing": (b"HTTP/1.1 200 ", "broke off"),
    "200, then half a field": (HEAD + b"Content-Le", "broke off"),
    "500, then half a field": (b"HTTP/1.1 500 X\r\nA: b", "broke off"),
    "a hint, then a 201": (b"HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 201 X\r\nA", "broke off"),
    "a field of 1 MB": (HEAD + b"X-Long: " + b"x" * 1_000_000 + b"\r\n\r\n", "64 KB"),
    "a reason of 1 MB": (b"HTTP/1.1 200 " + b"x" * 1_000_000 + b"\r\n\r\n", "64 KB"),
    "fields without end": (HEAD + MANY * 100, "64 KB"),
    "a length of 40 digits": (HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", "malformed"),
}


@pytest.mark.parametrize("fields", ODD_FIELDS.values(), ids=ODD_FIELDS.keys())
async def test_a_response_with_an_odd_head_is_read(fields: bytes) -> None:
    """A receiver that answered 200 has the event; what it said is kept with the attempt."""
    body = b"2\r\nok\r\n0\r\n\r\n" if b"chunked" in fields else b"ok"
    async with receive(HEAD + fields + b"\r\n" + body) as receiver, sending() as sender:
        answers = [await post(sender, receiver.url()) for _ in range(2)]
    assert [(answer.status, answer.excerpt, judge(answer)) for answer in answers] == [
        (200, "ok", Verdict.SUCCEEDED)
    ] * 2
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_head_may_come_in_pieces(size: int) -> None:
    """Where a packet ends makes no difference."""
    whole = b"HTTP/1.1 103 Hint\r\nX-A: b\r\n\r\n" + HEAD + LENGTH * 2 + b"X-A: b\r\n\r\nok"

    async def in_pieces(reader: Reader, writer: Writer) -> None:
        for start in range(0, len(whole), size):
            writer.write(whole[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with receive(in_pieces) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.excerpt, answer.reason) == (200, "ok", "The receiver answered 200.")


@pytest.mark.parametrize(("begun", "note"), CUT_SHORT.values(), ids=CUT_SHORT.keys())
async def test_a_final_status_counts_whatever_follows_it(begun: bytes, note: str) -> None:
    """The receiver has read the request and decided: a 200 is not posted again, and a 500 is a 500."""

    async def cut_short(reader: Reader, writer: Writer) -> None:
        writer.write(begun)
        writer.write_eof()
        await reader.read()

    async with receive(cut_short) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    expected = 500 if b" 500 " in begun else 201 if b" 201 " in begun else 200
    assert (answer.status, answer.failure, len(receiver.requests)) == (expected, None, 1)
    assert (judge(answer) is Verdict.RETRY) == (expected == 500)
    assert note in answer.reason


async def test_the_fields_of_a_refusal_are_read_from_a_head_that_is_too_large() -> None:
    """A pause that is asked for is kept, though the rest of the response is lost."""
    refusal = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\n" + MANY * 100 + b"\r\n"
    async with receive(refusal) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.retry_after_s) == (429, 7)


async def test_fields_that_matter_are_read_among_a_thousand() -> None:
    """Where there are more than the parser takes, others are left out."""
    refusal = b"HTTP/1.1 429 X\r\n" + MANY + b"Retry-After: 7\r\nContent-Length: 4\r\n\r\nwait"
    async with receive(refusal) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.retry_after_s, answer.excerpt) == (429, 7, "wait")


async def test_half_a_status_is_no_status() -> None:
    """Two digits decide nothing."""

    async def hang_up(_reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 20")
        await writer.drain()
        writer.close()

    async with receive(hang_up) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.failure) == (None, "reset")


@pytest.mark.parametrize("fields", ODD_FIELDS.values(), ids=ODD_FIELDS.keys())
async def test_an_upstreams_answer_with_an_odd_head_is_read(fields: bytes) -> None:
    """A proxy before the upstream that adds a long policy is no outage."""
    body = b'{"data":{"id":"1","status":"completed"}}'
    head = HEAD + fields.replace(b": 2\r\n", b": %d\r\n" % len(body)).replace(b": 2, 2", b": 40, 40")
    head = head.replace(b"Content-Length : 2", b"Content-Length : %d" % len(body))
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    answer_bytes = head + b"X-RateLimit-Remaining: 41\r\n\r\n" + (chunked if b"chunked" in fields else body)
    async with (
        receive(answer_bytes) as upstream,
        UpstreamClient(user_agent="t", words=ExtraWords()) as client,
    ):
        login = Login(provider="reelmirror", base_url=upstream.url(""), credential="rm_" + "b" * 32)
        answer = await client.read(login, KINDS["sync_job"], "1", now_ms=0)
    assert isinstance(answer.result, Observed)
    assert answer.rate.remaining == 41


async def test_an_upstreams_refusal_counts_though_its_head_is_too_large() -> None:
    """The status of a response whose head cannot be read still tells that the credential is refused."""
    refused = b"HTTP/1.1 401 X\r\n" + MANY * 100 + b"\r\n"
    async with (
        receive(refused) as upstream,
        UpstreamClient(user_agent="t", words=ExtraWords()) as client,
    ):
        login = Login(provider="reelmirror", base_url=upstream.url(""), credential="rm_" + "b" * 32)
        assert await client.check(login, now_ms=0) is Standing.REFUSED


@pytest.mark.parametrize("coding", [b"br", b"gzip"])
async def test_an_upstreams_refusal_counts_though_its_body_cannot_be_read(coding: bytes) -> None:
    """A coding that was not asked for, or one that the body is not in, does not hide the status."""
    refused = b"HTTP/1.1 401 X\r\nContent-Encoding: %b\r\nContent-Length: 4\r\n\r\nwhat" % coding
    async with (
        receive(refused) as upstream,
        UpstreamClient(user_agent="t", words=ExtraWords()) as client,
    ):
        login = Login(provider="reelmirror", base_url=upstream.url(""), credential="rm_" + "b" * 32)
        assert await client.check(login, now_ms=0) is Standing.REFUSED


async def test_after_an_odd_head_the_connection_is_not_used_again() -> None:
    """Where a body ends whose length was given twice is a guess; after a long but well-formed head it is not."""
    odd = HEAD + LENGTH * 2 + b"\r\nok"
    long = HEAD + ODD_FIELDS["a field of 9 KB"] + b"\r\nok"
    async with receive(odd, long, OK) as receiver, sending() as sender:
        connects = []
        for _ in range(3):
            await post(sender, receiver.url())
            connects.append(receiver.connects)
    assert connects == [1, 2, 2]


@pytest.mark.parametrize(
    "byte",
    [b"x", b"\n", b"\r\n", b"HTTP/1.1 100\n\n", b": \n"],
    ids=["letter", "lf", "crlf", "hint", "field"],
)
def test_the_time_for_a_head_in_tiny_pieces_grows_with_its_size_alone(byte: bytes) -> None:
    """Four times as many bytes, one by one, take four times as long, not sixteen times."""

    def took_s(size: int) -> float:
        whole = (b"HTTP/1.1 200 OK\r\nX-A: " if byte == b"x" else b"") + byte * (size // len(byte))
        reader = HeadReader()
        began = time.process_time()
        with contextlib.suppress(HeadError):  # some of these are no heads; that it ends soon is measured
            for at in range(len(whole)):
                reader.feed(whole[at : at + 1])
        return time.process_time() - began

    few, many = zip(
        *((took_s(MAX_HEAD_BYTES // 5), took_s(MAX_HEAD_BYTES * 4 // 5)) for _ in range(3)), strict=True
    )
    assert min(many) < 9 * min(few) + 0.01
