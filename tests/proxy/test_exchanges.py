"""Generated exchanges, through the proxy and direct: equal on both sides but for the headers that the documentation names."""

import zlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

import pytest

from tests.api.serving import KEY
from tests.proxy.wire import UPSTREAM_KEY, Line, Proxied

SEEDS = range(300)
METHODS = (b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND")
STATUSES = (
    *(200,) * 6,
    *(201, 202, 204, 206, 301, 304, 307, 400, 401, 402, 404, 409, 413, 422, 429, 500, 503),
)
NAMES = (
    b"X-Custom",
    b"x-custom",
    b"ACCEPT",
    b"ETag",
    b"eTAG",
    b"Cookie",
    b"Idempotency-Key",
    b"User-Agent",
    b"Range",
)
ANSWERED = (
    b"X-Custom",
    b"x-custom",
    b"ETag",
    b"Set-Cookie",
    b"set-cookie",
    b"Server",
    b"Date",
    b"Vary",
    b"WWW-Authenticate",
)
VALUES = (b"1", b"", b"caf\xe9", "käse".encode(), b'"q;=,"', b"a" * 3000, b"  inner  blanks", b"\tx")
# Of one connection: these end at the bridge, in both directions.
ENDING = (b"Keep-Alive: timeout=9", b"TE: trailers", b"Proxy-Connection: keep-alive")
ANSWERS_ENDING = (b"Keep-Alive: timeout=9", b"Alt-Svc: h3=x", b"Strict-Transport-Security: max-age=9")
# A body that has arrived whole goes on with its length, and the borders of chunks are free.
FRAMING = (b"Transfer-Encoding", b"Content-Length")
TARGETS = (b"/v1/x", b"/v1/x?a=b&c", b"/v1/%7e%E4/'{}`|^", b"//v1//x/", b"/?", b"/v1/x?q=%2e%2e%2f+//")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request without its line and credential, and the answer that the upstream gives to it."""

    method: bytes
    target: bytes
    fields: tuple[bytes, ...]
    body: bytes
    answer: bytes


def generate(seed: int) -> Exchange:
    roll = Random(seed)
    method = roll.choice(METHODS)
    fields = _draw(roll, NAMES)
    body = b""
    if method not in (b"GET", b"HEAD", b"OPTIONS") or roll.random() < 0.1:
        body = _draw_body(roll)
        fields += _draw_coding(roll) if body else []
        if roll.random() < 0.3:
            fields.append(b"Transfer-Encoding: chunked")
            body = _chunk(roll, body)
        elif body or method in (b"POST", b"PUT", b"PATCH"):
            fields.append(b"Content-Length: %d" % len(body))
    fields += [each for each in ENDING if roll.random() < 0.2]
    return Exchange(
        method=method,
        target=roll.choice(TARGETS),
        fields=tuple(roll.sample(fields, len(fields))),
        body=body,
        answer=_draw_answer(roll, method),
    )


def _draw_answer(roll: Random, method: bytes) -> bytes:
    status = roll.choice(STATUSES)
    fields = _draw(roll, ANSWERED)
    body = _draw_body(roll)
    is_chunked = roll.random() < 0.3 and status not in (204, 304)
    if is_chunked:
        fields.append(b"Transfer-Encoding: chunked")
        body = _chunk(roll, body)
    elif status != 204 or roll.random() < 0.5:
        fields.append(b"Content-Length: %d" % (0 if status == 204 else len(body)))
    if status in (204, 304) or method == b"HEAD":
        body = b""
    fields += _draw_coding(roll) + [each for each in ANSWERS_ENDING if roll.random() < 0.2]
    reason = roll.choice((b"OK", b"", b"Not Quite OK", b"caf\xe9"))
    roll.shuffle(fields)
    return b"\r\n".join([b"HTTP/1.1 %d %b" % (status, reason), *fields, b"", body])


def _draw(roll: Random, names: tuple[bytes, ...]) -> list[bytes]:
    """Draw fields, of which these two stand once: aiohttp's server refuses a request that repeats them."""
    drawn: dict[object, bytes] = {}
    for number in range(roll.randrange(5)):
        name = roll.choice(names)
        once = name.lower() if name.lower() in (b"etag", b"user-agent") else number
        drawn[once] = b"%b: %b" % (name, roll.choice(VALUES))
    return list(drawn.values())


def _draw_coding(roll: Random) -> list[bytes]:
    return [b"Content-Encoding: " + roll.choice((b"gzip", b"br", b"zstd"))] if roll.random() < 0.3 else []


def _draw_body(roll: Random) -> bytes:
    size = roll.choice((0, 1, 17, 500, 70_000, 300_000))
    text = roll.randbytes(size)
    return zlib.compress(text) if roll.random() < 0.3 else text


def _chunk(roll: Random, body: bytes) -> bytes:
    chunks = b""
    while body:
        size = roll.randint(1, len(body))
        chunks += b"%x%b\r\n%b\r\n" % (size, roll.choice((b"", b";a=b")), body[:size])
        body = body[size:]
    return chunks + b"0\r\n" + roll.choice((b"", b"X-Trailer: 1\r\n")) + b"\r\n"


@pytest.mark.parametrize("start", range(0, len(SEEDS), 60))
async def test_both_sides_see_the_same_as_without_the_bridge(proxied: Proxied, start: int) -> None:
    """Lines, fields and bodies of request and answer: 300 exchanges, each direct and through the proxy."""
    async with AsyncExitStack() as opened:
        through = await opened.enter_async_context(proxied.connect())
        for seed in SEEDS[start : start + 60]:
            exchange = generate(seed)
            proxied.upstream.answers = [exchange.answer]
            async with proxied.connect(direct=True) as direct:
                wanted = await play(proxied, direct, exchange, prefix=b"/base/api", key=UPSTREAM_KEY)
            found = await play(proxied, through, exchange, prefix=b"/reelmirror/api", key=KEY)
            assert found == wanted, f"seed {seed}"
            if b"Transfer-Encoding: chunked" in exchange.fields:  # nothing follows behind chunks
                assert await through.is_closed()
                through = await opened.enter_async_context(proxied.connect())


async def play(
    proxied: Proxied, connection: Line, exchange: Exchange, *, prefix: bytes, key: str
) -> dict[str, object]:
    """Send the request, and return what the upstream and the client saw."""
    line = b"%b %b%b HTTP/1.1" % (exchange.method, prefix, exchange.target)
    auth = f"Authorization: Bearer {key}".encode()
    await connection.send(b"\r\n".join([line, b"Host: h", auth, *exchange.fields, b"", exchange.body]))
    answer = await connection.read(method=exchange.method.decode())
    seen = proxied.upstream.requests[-1]
    return {
        "line": seen.line,
        "fields": list_fields(seen.fields, dropped=(*ENDING, *FRAMING, b"Host")),
        "body": seen.body,
        "answer": answer.head.partition(b"\r\n")[0],
        "answered fields": list_fields(answer.fields, dropped=(*ANSWERS_ENDING, FRAMING[0], b"Connection")),
        "answered body": answer.body,
        "is whole": answer.is_whole,
    }


def list_fields(
    fields: list[tuple[bytes, bytes]], *, dropped: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    """Return the fields of a head that must be the same on both ways, in their order."""
    names = {each.partition(b":")[0].lower() for each in dropped}
    return [field for field in fields if field[0].lower() not in names]
