"""Calls without a key: those that make a login pass where callers use their own, and nothing else ever does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.wire import Proxied, proxying

SIGN_UP = b"POST /v1/auth/signup HTTP/1.1"
BODY = b'{"email":"a@example.test"}'


@pytest.fixture
async def open_proxy(store_socket: Path) -> AsyncIterator[Proxied]:
    """A proxy that lets callers in with keys of their own."""
    async with proxying(store_socket, passthrough=True) as running:
        yield running


async def ask(proxied: Proxied, line: bytes = SIGN_UP, *fields: bytes) -> tuple[int, bytes | None]:
    """Return the status, and whose answer it is."""
    length = b"Content-Length: %d" % len(BODY)
    answer = await proxied.ask(line, length, *fields, body=BODY, key=None)
    return answer.status, answer.first(b"x-reelbridge-error")


async def test_five_sign_ups_a_minute_pass(open_proxy: Proxied) -> None:
    """They go on without any credential; the sixth of an address is not sent."""
    for _ in range(5):
        assert await ask(open_proxy) == (200, None)
    assert await ask(open_proxy) == (429, b"rate_limited")
    seen = open_proxy.upstream.requests
    assert [(each.line, each.body) for each in seen] == [
        (b"POST /base/api/v1/auth/signup HTTP/1.1", BODY)
    ] * 5
    assert not any(each.all_of(name) for each in seen for name in (b"authorization", b"x-api-key"))


@pytest.mark.parametrize(
    ("line", "fields", "answer"),
    [
        (b"GET /v1/personas HTTP/1.1", (), (401, b"unauthorized")),
        (b"POST /v1/authors HTTP/1.1", (), (401, b"unauthorized")),
        (b"POST /v1/auth/../personas HTTP/1.1", (), (400, b"validation_error")),
        (b"POST /v1/auth/%2e%2e/personas HTTP/1.1", (), (400, b"validation_error")),
        (b"OPTIONS /v1/auth/signup HTTP/1.1", (), (401, b"unauthorized")),  # no page of a browser calls this
        (SIGN_UP, (b"Authorization: Basic eDp5",), (401, b"unauthorized")),
        (SIGN_UP, (b"X-API-Key: brk_wrong",), (401, b"unauthorized")),
        (b"POST /v1/auth/signup?api_key=brk_x HTTP/1.1", (), (400, b"validation_error")),
    ],
)
async def test_nothing_else_passes_without_a_key(
    open_proxy: Proxied, line: bytes, fields: tuple[bytes, ...], answer: tuple[int, bytes]
) -> None:
    """Nor does what has a key that is none."""
    assert await ask(open_proxy, line, *fields) == answer
    assert open_proxy.upstream.requests == []


@pytest.mark.parametrize("framing", [b"Content-Length: 70000", b"Transfer-Encoding: chunked"])
async def test_a_large_body_is_not_passed_on(open_proxy: Proxied, framing: bytes) -> None:
    """Nor one that does not say how large it is."""
    answer = await open_proxy.ask(SIGN_UP, framing, key=None)
    assert (answer.status, open_proxy.upstream.requests) == (413, [])


async def test_without_passthrough_there_is_no_sign_up(proxied: Proxied) -> None:
    """The bridge's own key is needed for everything."""
    assert await ask(proxied) == (401, b"unauthorized")
    assert proxied.upstream.requests == []
