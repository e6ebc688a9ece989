"""What the proxy answers itself, in the provider's shape, and what it never asks of a provider."""

import asyncio
import json

import pytest

from tests.api.serving import BEARER, KEY
from tests.proxy.wire import Answer, Proxied


def word_of(answer: Answer) -> bytes | None:
    return answer.first(b"x-reelbridge-error")


@pytest.mark.parametrize(
    ("target", "status", "word"),
    [
        # outside of the prefix, as a lenient upstream reads it
        (b"/v1/%2e%2e/x", 400, b"validation_error"),
        (b"/v1/..%2fx", 400, b"validation_error"),
        (b"/v1/../../secret", 400, b"validation_error"),
        (b"/v1/.%2E/x", 400, b"validation_error"),
        (b"/v1/..;a=b/x", 400, b"validation_error"),
        (b"/v1/./x", 400, b"validation_error"),
        (b"/v1\\..\\x", 400, b"validation_error"),
        (b"/v1/%5c..%5cx", 400, b"validation_error"),
        (b"/v1/x%00", 400, b"validation_error"),
        (b"/v1/x%0d%0aX-A:%201", 400, b"validation_error"),
        # keys and billing, with a key without the scope admin
        (b"/v1/billing", 403, b"forbidden"),
        (b"/v1/%62illing/transactions?x", 403, b"forbidden"),
        (b"//v1//BILLING/", 403, b"forbidden"),
        (b"/v1/api-keys;x/1", 403, b"forbidden"),
    ],
)
async def test_a_path_that_may_mean_another_is_not_asked(
    proxied: Proxied, target: bytes, status: int, word: bytes
) -> None:
    """Nothing outside of the prefix, and nothing beyond the key's scopes, reaches the provider."""
    services = proxied.api.services
    project = await services.store.projects.ensure_default()
    _, key = await services.store.apikeys.create(project.id, ["proxy"], "plain")
    answer = await proxied.ask(b"GET " + target + b" HTTP/1.1", key=key)
    assert (answer.status, word_of(answer)) == (status, word)
    assert proxied.upstream.connections == 0


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /reelmirror/api@evil.example/x HTTP/1.1", 404),
        (b"GET /reelmirror/apix HTTP/1.1", 404),
        (b"GET /reelmirror/ap%69/x HTTP/1.1", 404),
        (b"GET http://evil.example/reelmirror/api/x HTTP/1.1", 421),
        (b"OPTIONS * HTTP/1.1", 404),
        (b"CONNECT evil.example:443 HTTP/1.1", 404),
        (b"TRACE /reelmirror/api/x HTTP/1.1", 405),
    ],
)
async def test_it_is_no_open_proxy(proxied: Proxied, line: bytes, status: int) -> None:
    """Targets of other hosts, and methods that would show the credential, end at the bridge."""
    assert (await proxied.ask(line, raw=True)).status == status
    assert proxied.upstream.connections == 0


async def test_the_absolute_form_for_our_own_host_is_accepted(proxied: Proxied) -> None:
    """RFC 9112 (section 3.2.2) asks servers to take it; only path and query go on."""
    answer = await proxied.ask(b"GET http://bridge.example/reelmirror/api/x?y HTTP/1.1", raw=True)
    assert answer.status == 200
    assert proxied.upstream.requests[0].line == b"GET /base/api/x?y HTTP/1.1"


@pytest.mark.parametrize(
    ("fields", "status", "body"),
    [
        ([b"Transfer-Encoding: gzip, chunked"], 501, b"0\r\n\r\n"),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], 400, b"0\r\n\r\n"),
        ([b"Content-Length: 5", b"Content-Length: 6"], 400, b"hello!"),
        ([b"Content-Length: +3"], 400, b"abc"),
        ([b"Content-Length: 0x3"], 400, b"abc"),
        ([b"Content-Length: 3, 3"], 400, b"abc"),
        ([b"Transfer-Encoding : chunked"], 400, b"0\r\n\r\n"),
        ([b"X-A: 1\r\n folded"], 400, b""),
        ([b"X-A: 1\nX-B: 2"], 400, b""),
        ([b"X-A: 1\x002"], 400, b""),
        ([b"Host: second.example"], 400, b""),
        ([b"X-Long: " + b"a" * 64 * 1024], 431, b""),
        ([b"X-A: 1"] * 101, 431, b""),
    ],
)
async def test_a_request_that_two_servers_may_read_differently_ends_here(
    proxied: Proxied, fields: list[bytes], status: int, body: bytes
) -> None:
    """A second request hidden behind such a one is not read either: the connection closes."""
    async with proxied.connect() as connection:
        hidden = proxied.write(b"GET /hidden HTTP/1.1")
        await connection.send(proxied.write(b"POST /x HTTP/1.1", *fields, body=body) + hidden)
        answer = await connection.read()
        assert answer.status == status
        assert b"folded" not in answer.body
        assert await connection.is_closed()
    assert proxied.upstream.requests == []
    assert (await proxied.ask()).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /reelmirror/api/x HTTP/1.1\r\n",  # no Host (RFC 9112, section 3.2)
        b"GET /reelmirror/api/caf\xe9 HTTP/1.1\r\nHost: bridge.example\r\n",
    ],
)
async def test_a_head_that_is_no_http_is_refused(proxied: Proxied, head: bytes) -> None:
    """A key in it is not told back."""
    async with proxied.connect() as connection:
        await connection.send(head + b"Authorization: Bearer " + KEY.encode() + b"\r\n\r\n")
        answer = await connection.read()
    assert answer.status == 400
    assert KEY.encode() not in answer.head + answer.body
    assert proxied.upstream.connections == 0


async def test_chunks_in_http_1_0_are_refused(proxied: Proxied) -> None:
    """RFC 9112 (section 6.1): their framing is faulty."""
    answer = await proxied.ask(b"POST /x HTTP/1.0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    assert (answer.status, answer.first(b"connection")) == (400, None)
    assert proxied.upstream.connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: 1\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: 1\x00\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"not http at all, and longer than a status line\r\n\r\n",
    ],
)
async def test_an_answer_that_two_clients_may_read_differently_is_a_502(
    proxied: Proxied, answer: bytes
) -> None:
    """The client's next request over the same connection gets its own answer, over a fresh connection."""
    proxied.upstream.answers = [answer, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"]
    async with proxied.connect() as connection:
        await connection.send(proxied.write())
        first = await connection.read()
        assert (first.status, word_of(first)) == (502, b"upstream_unreachable")
        await connection.send(proxied.write())
        assert (await connection.read()).body == b"next"
    assert proxied.upstream.connections == 2


@pytest.mark.parametrize(
    ("prefix", "shape"),
    [
        (b"/reelmirror/api", {"error": {"code": "UNAUTHORIZED"}}),
        (b"/reelbot/api", {"success": False, "code": "UNAUTHORIZED"}),
    ],
)
async def test_a_refusal_has_the_providers_shape_and_names_no_server(
    proxied: Proxied, prefix: bytes, shape: dict[str, object]
) -> None:
    """Clients parse it as they parse the provider's errors; a header tells whose it is."""
    proxied.prefix = prefix
    answer = await proxied.ask(key=None)
    assert (answer.status, word_of(answer), answer.first(b"server")) == (401, b"unauthorized", None)
    body = json.loads(answer.body)
    error = body.get("error", body)
    assert error.pop("message").startswith("no API key")
    assert body == shape


async def test_two_keys_are_none(proxied: Proxied) -> None:
    """Whose request it is must not depend on which header is read first."""
    answer = await proxied.ask(b"GET /x HTTP/1.1", b"X-API-Key: brk_another")
    assert (answer.status, proxied.upstream.connections) == (400, 0)


async def test_a_body_that_is_not_wanted_is_not_asked_for(proxied: Proxied) -> None:
    """With a wrong key a client that waits for `100 Continue` is refused before a byte of its gigabyte."""
    async with proxied.connect() as connection:
        await connection.send(
            proxied.write(
                b"POST /x HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 1000000000", key="brk_wrong"
            )
        )
        answer = await connection.read()
        assert (answer.status, answer.first(b"connection")) == (401, b"close")
    assert proxied.upstream.connections == 0


async def test_a_body_that_is_wanted_is_asked_for_by_the_bridge(proxied: Proxied) -> None:
    """`Expect` itself ends at the bridge, so that a provider that ignores it holds nothing up."""
    async with proxied.connect() as connection:
        await connection.send(
            proxied.write(b"POST /x HTTP/1.1", b"Expect: 100-Continue", b"Content-Length: 3")
        )
        assert await connection.reader.readexactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await connection.send(b"abc")
        assert (await connection.read()).status == 200
    (seen,) = proxied.upstream.requests
    assert (seen.body, seen.all_of(b"expect")) == (b"abc", [])


async def test_another_expectation_is_ignored(proxied: Proxied) -> None:
    """RFC 9110 (section 10.1.1) allows a 417, which no provider's client knows."""
    answer = await proxied.ask(b"POST /x HTTP/1.1", b"Expect: miracles", b"Content-Length: 3", body=b"abc")
    assert answer.status == 200


async def test_a_request_behind_an_upgrade_is_not_left_without_an_answer(proxied: Proxied) -> None:
    """The upgrade is not passed on, and the connection closes behind its answer."""
    async with proxied.connect() as connection:
        upgrade = proxied.write(
            b"GET /x HTTP/1.1",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMA",
        )
        await connection.send(upgrade + proxied.write())
        answer = await connection.read()
        assert (answer.status, answer.first(b"connection")) == (200, b"close")
        assert await connection.is_closed()
    (seen,) = proxied.upstream.requests
    assert [seen.all_of(name) for name in (b"upgrade", b"connection", b"http2-settings")] == [[], [], []]


@pytest.mark.parametrize("target", [b"/reelmirror/api/x", b"/v1/me"])
async def test_a_trailer_is_no_header_of_the_next_request(proxied: Proxied, target: bytes) -> None:
    """Nothing is read behind chunks: a proxy in front of the bridge may send another client's request there."""
    async with proxied.connect() as connection:
        chunks = b"2\r\n{}\r\n0\r\nX-Evil: 1\r\n\r\n"
        first = proxied.write(
            b"POST " + target + b" HTTP/1.1", b"Transfer-Encoding: chunked", body=chunks, raw=True
        )
        await connection.send(first + proxied.write())
        assert (await connection.read()).first(b"connection") == b"close"
        assert await connection.is_closed()
    assert [seen for seen in proxied.upstream.requests if b"X-Evil" in seen.head] == []
    assert len(proxied.upstream.requests) == (1 if b"api" in target else 0)


async def test_an_unreachable_provider_is_a_502_of_ours(proxied: Proxied) -> None:
    """Its address is not in the answer."""
    proxied.upstream.answers = [hang_up]
    answer = await proxied.ask(b"POST /x HTTP/1.1", b"Content-Length: 0")
    assert (answer.status, word_of(answer)) == (502, b"upstream_unreachable")
    assert str(proxied.upstream.port).encode() not in answer.body


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_what_passes_is_counted_by_provider_and_status(proxied: Proxied) -> None:
    """The bridge's own answers are told apart."""
    await proxied.ask()
    await proxied.ask(key=None)
    async with proxied.api.http.get(proxied.api.url + "/metrics", headers=BEARER) as answer:
        text = await answer.text()
    assert 'reelbridge_proxied_requests_total{by="provider",provider="reelmirror",status="200"} 1.0' in text
    assert 'reelbridge_proxied_requests_total{by="bridge",provider="reelmirror",status="401"} 1.0' in text
