"""What passes through the proxy byte for byte, and what ends there."""

import asyncio
import gzip

import pytest

from tests.api.serving import KEY
from tests.proxy.wire import OK, UPSTREAM_KEY, Proxied, add_tenant

AUTH = (b"Authorization", f"Bearer {UPSTREAM_KEY}".encode())


async def test_fields_pass_in_their_order_and_spelling(proxied: Proxied) -> None:
    """Names keep their case, repeated fields stay apart, and bytes that are no UTF-8 arrive."""
    sent = (
        b'HTTP/1.1 200 Fine\r\neTaG: "x"\r\nX-A: 1\r\nx-a: 2\r\nX-L: caf\xe9\r\nContent-Length: 2\r\n\r\nok'
    )
    proxied.upstream.answers = [sent]
    answer = await proxied.ask(
        b"GET /x?a=%7e&b={}&c HTTP/1.1", b"X-A: 1", b"eTaG: q", b"X-A: 3", b"x-a: 4", b"X-L: caf\xe9"
    )
    assert answer.head + answer.body == sent
    (seen,) = proxied.upstream.requests
    assert seen.line == b"GET /base/api/x?a=%7e&b={}&c HTTP/1.1"
    assert seen.fields == [
        (b"Host", f"127.0.0.1:{proxied.upstream.port}".encode()),
        AUTH,
        *[(b"X-A", b"1"), (b"eTaG", b"q"), (b"X-A", b"3"), (b"x-a", b"4"), (b"X-L", b"caf\xe9")],
    ]


async def test_nothing_is_kept_of_one_tenant_for_the_next(proxied: Proxied) -> None:
    """A cookie that the provider sets reaches the client that asked, and no request of another project."""
    proxied.upstream.answers = [OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n")]
    other = await add_tenant(proxied)
    first = await proxied.ask()
    assert first.first(b"set-cookie") == b"a=b; Path=/"
    assert (await proxied.ask(key=other)).status == 200
    assert proxied.upstream.requests[1].all_of(b"cookie") == []
    assert proxied.upstream.requests[1].all_of(b"authorization") == [b"Bearer rm_" + b"d" * 32]


async def test_a_late_second_answer_is_nobody_elses(proxied: Proxied) -> None:
    """What the provider sends on an idle connection does not become the answer to the next tenant's request."""
    sent = asyncio.Event()

    async def answer_twice(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await told.wait()
        writer.write(b"HTTP/1.1 408 Late\r\nContent-Length: 5\r\n\r\nfirst")
        await writer.drain()
        sent.set()
        await asyncio.Event().wait()

    told = asyncio.Event()
    proxied.upstream.answers = [answer_twice, OK]
    other = await add_tenant(proxied)
    assert (await proxied.ask()).body == b"ok"
    told.set()
    await sent.wait()
    answer = await proxied.ask(key=other)
    assert (answer.status, answer.body) == (200, b"ok")
    assert proxied.upstream.connections == 2


async def test_what_connection_names_is_dropped_but_not_what_frames(proxied: Proxied) -> None:
    """Credential, length and type stay whatever `Connection` says; names of its own end at the bridge, both ways."""
    proxied.upstream.answers = [
        (
            b"HTTP/1.1 200 OK\r\nConnection: X-Up, Content-Length, keep-alive\r\nX-Up: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Alt-Svc: h3\r\nStrict-Transport-Security: max-age=1\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok"
        )
    ]
    answer = await proxied.ask(
        b"POST /x HTTP/1.1",
        b"Connection: Authorization, Content-Length, X-Own, Host",
        *[
            b"X-Own: 1",
            b"TE: trailers",
            b"Trailer: X-T",
            b"Keep-Alive: 1",
            b"Proxy-Authorization: Basic eDp5",
        ],
        *[b"X-Forwarded-For: 192.0.2.1", b"Forwarded: for=x", b"X-Real-IP: 192.0.2.1", b"Content-Length: 3"],
        *[b"X-Webhook-URL: https://receiver.example/secret", b"Cookie: own=1"],
        body=b"abc",
    )
    assert answer.fields == [
        (b"Content-Type", b"a/b"),
        (b"Content-Length", b"2"),
        (b"X-Webhook-Status", b"none; reason=not_a_start"),
    ]
    (seen,) = proxied.upstream.requests
    assert seen.fields[1:] == [AUTH, (b"Content-Length", b"3"), (b"Cookie", b"own=1")]
    assert seen.body == b"abc"


async def test_what_connection_names_is_heard_by_the_bridge_all_the_same(proxied: Proxied) -> None:
    """A header for the bridge is none of the provider's anyway: the callback is registered."""
    answer = b'{"generated_post_id":"g1"}'
    proxied.upstream.answers = [b"HTTP/1.1 202 X\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)]
    wish = b"X-Webhook-URL: https://receiver.example/secret"
    names = b"Connection: Authorization, Content-Length, X-Webhook-URL"
    line = b"POST /v1/generate HTTP/1.1"
    got = await proxied.ask(line, names, wish, b"Content-Length: 2", body=b"{}")
    assert (got.status, got.first(b"x-webhook-status")) == (202, b"registered")
    (seen,) = proxied.upstream.requests
    assert seen.fields[1:] == [AUTH, (b"Content-Length", b"2")]


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        (b"{base}/v1/x?y", b"/reelmirror/api/v1/x?y"),
        (b"/base/api/v1/x", b"/reelmirror/api/v1/x"),
        (b"{base}", b"/reelmirror/api"),
        (b"{base}evil/x", b"{base}evil/x"),  # another path
        (b"/base/apis", b"{origin}/base/apis"),  # the bridge has nothing of it
        (b"/login?next=/base/api", b"{origin}/login?next=/base/api"),
        (b"//base/api/x", b"http://base/api/x"),  # another host, with the provider's scheme
        (b"https://cdn.example/file", b"https://cdn.example/file"),
        (b"next", b"next"),
    ],
)
async def test_a_redirect_below_the_provider_leads_through_the_bridge(
    proxied: Proxied, location: bytes, wanted: bytes
) -> None:
    """Else the client would carry its key of the bridge to the provider; a path beside it stays the provider's."""
    base = f"http://127.0.0.1:{proxied.upstream.port}/base/api".encode()
    origin = base.removesuffix(b"/base/api")
    location, wanted = (
        each.replace(b"{base}", base).replace(b"{origin}", origin) for each in (location, wanted)
    )
    proxied.upstream.answers = [
        b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    ]
    answer = await proxied.ask()
    assert (answer.status, answer.first(b"location")) == (302, wanted)


PACKED = gzip.compress(b'{"a":1}', mtime=0)


@pytest.mark.parametrize(
    ("line", "head", "body"),
    [
        (b"GET /x HTTP/1.1", b"Content-Encoding: gzip\r\nContent-Length: %d" % len(PACKED), PACKED),
        (b"GET /x HTTP/1.1", b"Content-Encoding: br\r\nContent-Length: 4", b"\x00\xff\x01\x02"),
        (b"HEAD /x HTTP/1.1", b"Content-Encoding: gzip\r\nContent-Length: 90", b""),
        (b"HEAD /x HTTP/1.1", b"ETag: x", b""),
        (b"GET /x HTTP/1.1 304", b"Content-Length: 7\r\nETag: x", b""),
        (b"GET /x HTTP/1.1 304", b"ETag: x", b""),
        (b"DELETE /x HTTP/1.1 204", b"Content-Length: 0", b""),
        (b"DELETE /x HTTP/1.1 204", b"X-A: 1", b""),
        (b"OPTIONS /x HTTP/1.1", b"Allow: GET\r\nContent-Length: 0", b""),
        (b"PATCH /x HTTP/1.1 418", b"Content-Length: 1", b"!"),
    ],
)
async def test_an_answer_is_the_providers_byte_for_byte(
    proxied: Proxied, line: bytes, head: bytes, body: bytes
) -> None:
    """Codings, lengths without a body and answers without one arrive as they were sent, and the connection lives."""
    status = line.split()[3] if len(line.split()) > 3 else b"200"
    answer = b"HTTP/1.1 " + status + b" As It Is\r\n" + head + b"\r\n\r\n" + body
    proxied.upstream.answers = [answer]
    request = proxied.write(b" ".join(line.split()[:3]))
    async with proxied.connect() as connection:
        for _ in range(2):
            await connection.send(request)
            assert await connection.reader.readexactly(len(answer)) == answer
    assert len(proxied.upstream.requests) == 2


async def test_a_coded_request_arrives_coded(proxied: Proxied) -> None:
    """A gzip body goes on as it is, with its length."""
    length = b"Content-Length: %d" % len(PACKED)
    await proxied.ask(b"POST /x HTTP/1.1", b"Content-Encoding: gzip", length, body=PACKED)
    (seen,) = proxied.upstream.requests
    assert (seen.body, seen.all_of(b"content-encoding")) == (PACKED, [b"gzip"])


@pytest.mark.parametrize(
    ("fields", "body", "wanted"),
    [
        ([b"Content-Length: 0"], b"", [b"0"]),
        ([], b"", []),
        ([b"Content-Length: 2"], b"{}", [b"2"]),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS"])
async def test_a_length_goes_on_if_there_was_one(
    proxied: Proxied, method: bytes, fields: list[bytes], body: bytes, wanted: list[bytes]
) -> None:
    """Methods that seldom have a body get none, and may have one."""
    answer = await proxied.ask(method + b" /x HTTP/1.1", *fields, body=body)
    assert answer.status == 200
    (seen,) = proxied.upstream.requests
    assert (seen.body, seen.all_of(b"content-length")) == (body, wanted)


async def test_chunks_pass_both_ways(proxied: Proxied) -> None:
    """A body of unknown length is chunked on either side; trailers end at the bridge."""
    proxied.upstream.answers = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
    ]
    async with proxied.connect() as connection:
        await connection.send(
            proxied.write(b"POST /x HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
        )
        await proxied.upstream.wait(lambda upstream: upstream.connections == 1)
        await connection.send(b"1\r\n!\r\n0\r\nX-T: 1\r\n\r\n")
        answer = await connection.read()
        assert answer.first(b"transfer-encoding") == b"chunked"
        assert (answer.body, answer.is_whole) == (b"abcde", True)
    (seen,) = proxied.upstream.requests
    assert (seen.body, seen.all_of(b"transfer-encoding")) == (b"hello!", [b"chunked"])


async def test_a_client_of_http_1_0_gets_no_chunks(proxied: Proxied) -> None:
    """A body of unknown length ends with its connection."""
    proxied.upstream.answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
    answer = await proxied.ask(b"GET /x HTTP/1.0", b"Connection: keep-alive")
    assert (answer.fields, answer.body) == ([(b"Connection", b"close")], b"abc")


async def test_the_key_of_the_bridge_never_goes_on(proxied: Proxied) -> None:
    """Neither in the other header, nor in a field of any name; in the query it is refused."""
    key = KEY.encode()
    answer = await proxied.ask(b"GET /x HTTP/1.1", b"X-API-Key: " + key, b"X-Copy: <" + key + b">")
    assert answer.status == 200
    assert key not in proxied.upstream.requests[0].head
    refused = await proxied.ask(b"GET /x?api_key=" + key + b" HTTP/1.1")
    alone = await proxied.ask(b"GET /x?api_key=" + key + b" HTTP/1.1", key=None)
    assert (refused.status, alone.status, len(proxied.upstream.requests)) == (400, 401, 1)


async def test_a_replaced_credential_is_used_at_once(proxied: Proxied) -> None:
    """The next request after the replacement carries the new one."""
    await proxied.ask()
    _, listed = await proxied.api.call("GET", "/v1/accounts")
    account = next(each["id"] for each in listed["data"] if each["provider"] == "reelmirror")
    fresh = "rm_" + "e" * 32
    status, _ = await proxied.api.call(
        "PUT", f"/v1/accounts/{account}/credential", json={"credential": fresh}
    )
    assert status == 200
    await proxied.ask()
    assert [seen.all_of(b"authorization") for seen in proxied.upstream.requests] == [
        [f"Bearer {key}".encode()] for key in (UPSTREAM_KEY, fresh)
    ]
