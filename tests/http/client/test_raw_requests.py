"""Any method, and heads byte for byte in both directions."""

import asyncio

import pytest

from bridge.http.client.client_errors import ClosedError
from bridge.http.client.http_client import HttpClient
from bridge.http.client.http_response import HttpResponse
from bridge.http.client.response_head import Field
from tests.http.receivers import OK, exchanging, receive

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
ODD_FIELDS: list[Field] = [
    (b"X-A", b"1"),
    (b"x-a", b"2"),
    (b"eTaG", b'W/"x"'),
    (b"X-Latin", b"caf\xe9"),
    (b"X-A", b"3"),
    (b"X-Empty", b""),
]


async def send(
    client: HttpClient, url: str, method: str, *, fields: list[Field] | None = None, body: bytes = b""
) -> HttpResponse:
    until = asyncio.get_running_loop().time() + 20
    return await client.request(method, url, "/a%2Fb?c={}", fields or [], body=body, until=until)


async def read_head(reader: Reader) -> list[bytes]:
    return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]


async def exchange_raw(
    *, method: str, fields: list[Field], body: bytes = b""
) -> tuple[list[bytes], list[Field]]:
    """Send one request to a server that answers with the fields it got; return both heads as they were on the wire."""
    lines: list[bytes] = []

    async def mirror(reader: Reader, writer: Writer) -> None:
        lines.extend(await read_head(reader))
        await reader.readexactly(len(body))
        sent = [line for line in lines[1:] if not line.lower().startswith((b"host", b"content-length"))]
        writer.write(b"\r\n".join([b"HTTP/1.1 200 Fine, thanks", *sent, b"Content-Length: 0", b"", b""]))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mirror, "127.0.0.1", 0)
    async with server, exchanging() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        response = await send(client, url, method, fields=fields, body=body)
        assert response.reason == b"Fine, thanks"
        response.close()
    return lines, list(response.fields)


async def test_fields_are_the_same_bytes_in_the_same_order_both_ways() -> None:
    """Repeated names, the case of letters and bytes that are not UTF-8 stay as they are; nothing but framing is added."""
    lines, received = await exchange_raw(method="PATCH", fields=ODD_FIELDS, body=b"ab")
    assert lines[0] == b"PATCH /a%2Fb?c={} HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"%b: %b" % field for field in ODD_FIELDS] + [b"Content-Length: 2"]
    assert received == [*ODD_FIELDS, (b"Content-Length", b"0")]


async def test_a_host_and_a_length_of_the_callers_stay_where_they_are() -> None:
    """Whoever passes a request on keeps the order of its fields."""
    fields = [(b"content-LENGTH", b"2"), (b"X-A", b"1"), (b"host", b"other.example")]
    lines, _ = await exchange_raw(method="POST", fields=fields, body=b"ab")
    assert lines[1:] == [b"content-LENGTH: 2", b"X-A: 1", b"host: other.example"]


@pytest.mark.parametrize(
    ("method", "framing"), [("POST", [b"Content-Length: 0"]), ("DELETE", []), ("GET", [])]
)
async def test_no_body_has_a_length_only_where_one_is_usual(method: str, framing: list[bytes]) -> None:
    """Servers ask for a length where a body could be (RFC 9110, section 8.6)."""
    lines, _ = await exchange_raw(method=method, fields=[])
    assert lines[2:] == framing


@pytest.mark.parametrize(
    "fields",
    [
        [(b"X-A", b"a\r\nX-B: b")],
        [(b"X-A", b"a\0")],
        [(b"X A", b"a")],
        [(b"X-A:", b"a")],
        [(b"", b"a")],
        [(b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"1")],
        [(b"Content-Length", b"2"), (b"Content-Length", b"2")],
        [(b"Host", b"a"), (b"host", b"b")],
    ],
)
async def test_a_head_that_could_mean_two_things_is_not_sent(fields: list[Field]) -> None:
    """No field can end the head, frame another body than the one that is sent, or name a second host."""
    async with receive(OK) as receiver, exchanging() as client:
        with pytest.raises(ValueError, match="request"):
            await send(client, receiver.url(""), "POST", fields=fields, body=b"ab")
    assert receiver.connects == 0


@pytest.mark.parametrize("method", ["GET ", "GET /x HTTP/1.1\r\nX:", "", "G\u00c4T"])
async def test_a_method_is_a_word(method: str) -> None:
    """A method cannot smuggle a target in."""
    async with exchanging() as client:
        with pytest.raises(ValueError, match="malformed"):
            await send(client, "http://127.0.0.1:9", method)


@pytest.mark.parametrize("target", ["", "/a b", "/a\r\nX: y", "/a\0"])
async def test_a_target_has_no_blanks(target: str) -> None:
    """A target cannot smuggle a field in."""
    async with exchanging() as client:
        with pytest.raises(ValueError, match="malformed"):
            await client.request("GET", "http://127.0.0.1:9", target, [], until=1e9)


@pytest.mark.parametrize(
    "origin", ["ftp://a.example", "//a.example", "https://u:p@a.example", "https://", "x", "http://a/b"]
)
async def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    """Nothing else is connected to."""
    async with exchanging() as client:
        with pytest.raises(ValueError, match="origin"):
            await client.request("GET", origin, "/", [], until=1e9)


@pytest.mark.parametrize(
    ("method", "head", "fields"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", [(b"Content-Length", b"500")]),
        (
            "HEAD",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            [(b"Transfer-Encoding", b"chunked")],
        ),
        ("GET", b"HTTP/1.1 304 X\r\nContent-Length: 500\r\n\r\n", [(b"Content-Length", b"500")]),
        ("GET", b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", [(b"Content-Length", b"0")]),
    ],
    ids=["HEAD with a length", "HEAD with chunks", "304 with a length", "204 with a length"],
)
async def test_a_response_without_a_body_is_complete(method: str, head: bytes, fields: list[Field]) -> None:
    """What its head says of a body it does not have is passed on, and the connection is kept."""
    async with receive(head) as receiver, exchanging() as client:
        for _ in range(2):
            response = await send(client, receiver.url(""), method)
            assert response.is_complete
            assert await response.body.read() == b""
            assert response.fields == fields
            response.release()
    assert (len(receiver.requests), receiver.connects) == (2, 1)


async def _hang_up(_reader: Reader, writer: Writer) -> None:
    writer.close()


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST", "OPTIONS"])
async def test_what_may_change_something_is_never_repeated(method: str) -> None:
    """A peer that closes the connection under such a request may have done what it asks for."""
    async with receive(OK, _hang_up, OK) as receiver, exchanging() as client:
        (await send(client, receiver.url(""), "GET")).release()
        with pytest.raises(ClosedError):
            await send(client, receiver.url(""), method)
    assert (len(receiver.requests), receiver.connects) == (2, 1)


async def test_a_read_whose_answer_had_begun_is_not_repeated() -> None:
    """A peer that sent a byte has read the request."""

    async def begin(_reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 1")
        await writer.drain()
        writer.close()

    async with receive(OK, begin, OK) as receiver, exchanging() as client:
        (await send(client, receiver.url(""), "GET")).release()
        with pytest.raises(ClosedError):
            await send(client, receiver.url(""), "GET")
    assert len(receiver.requests) == 2


async def test_a_head_whose_framing_is_a_guess_is_marked() -> None:
    """Whoever passes an answer on refuses one with two lengths or with a length and chunks."""
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with receive(both, OK) as receiver, exchanging() as client:
        marks = []
        for _ in range(2):
            response = await send(client, receiver.url(""), "GET")
            marks.append(response.is_well_formed)
            response.release()
    assert marks == [False, True]
    assert receiver.connects == 2


async def test_a_field_that_is_not_utf_8_is_text_all_the_same() -> None:
    """As text, what is not UTF-8 is replaced, so that it can be stored; as bytes it is kept."""
    latin = b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nContent-Length: 0\r\n\r\n"
    async with receive(latin) as receiver, exchanging() as client:
        response = await send(client, receiver.url(""), "GET")
        response.release()
    assert response.headers["x-a"] == "caf\ufffd"
    assert response.fields[0] == (b"X-A", b"caf\xe9")
