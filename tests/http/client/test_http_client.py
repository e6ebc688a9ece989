"""Requests over kept connections: what is repeated, what is skipped, and what is dropped."""

import asyncio

import pytest

from bridge.http.client.client_errors import ClosedError
from bridge.http.client.http_client import HttpClient
from tests.http.receivers import OK, exchanging, post, receive, sending

LARGE = b"x" * 8_000_000  # more than both sides' socket buffers hold
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def _get(exchanges: HttpClient, port: int, headers: dict[str, str] | None = None) -> int:
    until = asyncio.get_running_loop().time() + 20
    answer = await exchanges.get(f"http://127.0.0.1:{port}", "/a?b=c", headers or {}, until=until)
    try:
        while await answer.body.read():
            pass
    finally:
        answer.release()
    return answer.status


async def _hang_up(_reader: Reader, writer: Writer) -> None:
    writer.close()


async def test_a_read_whose_connection_closes_under_it_is_repeated_once() -> None:
    """A GET may be repeated: an upstream that closes idle connections is not a failure."""
    async with receive(OK, _hang_up, OK) as upstream, exchanging() as exchanges:
        assert await _get(exchanges, upstream.port) == 200
        assert await _get(exchanges, upstream.port) == 200
    assert (len(upstream.requests), upstream.connects) == (3, 2)


async def test_a_read_is_repeated_only_once() -> None:
    """An upstream that closes every connection gives a failed read, not endless repeats."""
    async with receive(OK, _hang_up) as upstream, exchanging() as exchanges:
        assert await _get(exchanges, upstream.port) == 200
        with pytest.raises(ClosedError):
            await _get(exchanges, upstream.port)
    assert (len(upstream.requests), upstream.connects) == (3, 2)


async def test_a_read_over_a_new_connection_is_not_repeated() -> None:
    """Only a kept connection may have been closing already; a new one that closes is an answer of its own."""
    async with receive(_hang_up) as upstream, exchanging() as exchanges:
        with pytest.raises(ClosedError):
            await _get(exchanges, upstream.port)
    assert len(upstream.requests) == 1


async def test_a_request_is_sent_as_given_and_its_own_headers_win() -> None:
    """The target is sent byte for byte; a header of the request replaces the common one, in any case of letters."""
    async with receive(OK) as upstream, exchanging() as exchanges:
        await _get(exchanges, upstream.port, {"User-Agent": "own", "x-a": "b"})
    [(line, headers, _)] = upstream.requests
    assert line == "GET /a?b=c HTTP/1.1"
    assert (headers["user-agent"], headers["x-a"]) == ("own", "b")
    assert headers["host"] == f"127.0.0.1:{upstream.port}"


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
async def test_the_framing_is_the_clients_own(name: str) -> None:
    """A second length would let a receiver see another body than the one that is signed."""
    async with receive(OK) as receiver, exchanging() as exchanges:
        with pytest.raises(ValueError, match="framing"):
            await exchanges.post(receiver.url(""), "/", {name: "1"}, b"{}", until=1e9)
    assert receiver.connects == 0


async def test_a_connection_that_may_not_be_idle_is_closed() -> None:
    """A peer that keeps connections for no time at all is not held to them."""
    brief = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok"
    async with receive(brief) as receiver, exchanging() as exchanges:
        for _ in range(2):
            assert await _get(exchanges, receiver.port) == 200
    assert receiver.connects == 2


async def test_informational_answers_are_passed_over() -> None:
    """A 103 before the response is not the response (RFC 9110, section 15.2)."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with receive(early + OK) as receiver, sending() as sender:
        answer = await post(sender, receiver.url())
    assert (answer.status, answer.excerpt) == (200, "ok")


async def test_a_response_before_the_body_was_read_counts_and_its_connection_is_dropped() -> None:
    """A receiver that refuses a large body unread is believed at once, and nothing follows the rest of that body."""
    connects = 0
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    async def refuse(reader: Reader, writer: Writer) -> None:
        nonlocal connects
        connects += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refused)
        await writer.drain()
        await closed.wait()
        writer.close()

    closed = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, sending() as sender:
        for _ in range(2):
            answer = await sender.post(f"http://127.0.0.1:{port}/", headers={}, body=LARGE, timeout_s=20)
            assert answer.status == 413
        closed.set()
    assert connects == 2
