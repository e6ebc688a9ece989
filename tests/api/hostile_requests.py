"""The most expensive requests of at most 64 KB that are known, for every route."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.api.routing import Route
from tests.api.serving import KEY

SIZE = 64 * 1024
LINE = 15_000  # below the server's limit for a request line and for a header
LOGIN = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
MULTIPART = b"Content-Type: multipart/form-data; boundary=B\r\n"
JOB = b'"job_id":"1","callback_url":"inbox:"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One request: what is hostile about it, and its bytes."""

    name: str
    sent: bytes


def fill(start: bytes, part: bytes, end: bytes, separator: bytes = b",") -> bytes:
    """Repeat a part between a start and an end until the whole has nearly 64 KB."""
    count = (SIZE - len(start) - len(end)) // (len(part) + len(separator))
    return start + separator.join([part] * count) + end


def numbered(start: bytes, part: bytes, end: bytes) -> bytes:
    """As `fill`, with another number in each part."""
    count = (SIZE - len(start) - len(end)) // (len(part) + 8)
    return start + b",".join(part % number for number in range(count)) + end


# Name, headers, body.
BODIES: tuple[tuple[str, bytes, bytes], ...] = (
    ("deep arrays", JSON, b"[" * SIZE),
    ("many small arrays", JSON, fill(b'{"x":[', b"[]", b"]}")),
    ("long integers", JSON, fill(b"{" + JOB + b',"x":[', b"9" * 4300, b"]}")),
    ("many keys", JSON, numbered(b"{", b'"%x":1', b"}")),
    ("one key", JSON, fill(b"{", b'"a":1', b"}")),
    ("surrogates", JSON, fill(b"{" + JOB + b',"metadata":"', b"\\ud800", b'"}', b"")),
    ("scopes", JSON, fill(b'{"name":"x","scopes":[', b"1", b"]}")),
    ("ids", JSON, numbered(b'{"callback_url":"inbox:","job_ids":[', b'"%x"', b"]}")),
    ("events", JSON, fill(b"{" + JOB + b',"events":[', b'"*"', b"]}")),
    ("events as text", JSON, fill(b"{" + JOB + b',"events":"', b"", b'"}')),
    ("events with stars", JSON, fill(b"{" + JOB + b',"once":false,"events":["', b"*_" * 45, b'"]}', b'","')),
    ("headers", JSON, numbered(b"{" + JOB + b',"headers":{', b'"x%x":"1"', b"}}")),
    ("nested metadata", JSON, fill(b"{" + JOB + b',"metadata":{"a":[', b"[]", b"]}}")),
    ("items", JSON, numbered(b'{"id":"1","callback_url":"inbox:","media_items":[', b'{"media_type":"%x"}', b"]}")),
    ("labels of a host", JSON, fill(b'{"job_id":"1","url":"https://', "ü".encode(), b'/"}', b".")),
    ("parts of a URL", JSON, fill(b'{"job_id":"1","callback_url":"https://h.example.test/', b"/@", b'"}', b"?&")),
    ("form fields", FORM, b"a&" * (SIZE // 2)),
    ("equal form fields", FORM, b"a=1&" * 999),
    ("escapes in a form", FORM, b"a=" + b"%41" * (SIZE // 3 - 1)),
    ("multipart", MULTIPART, fill(b"", b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n', b"--B--\r\n", b"")),
    ("headers of a part", MULTIPART, fill(b"--B\r\n", b"X:1\r\n", b"\r\n1\r\n--B--\r\n", b"")),
    ("almost boundaries", MULTIPART, fill(b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"\r\n-", b"\r\n--B--\r\n", b"")),
    ("parameters of a type", b"Content-Type: multipart/form-data" + b";" * LINE + b"\r\n", b"x=1"),
    ("quotes in a type", b"Content-Type: multipart/form-data" + b';"' * (LINE // 2) + b"\r\n", b"x=1"),
    ("charset", b"Content-Type: application/json; charset=idna\r\n", b"a." * (SIZE // 2)),
    ("a bomb", JSON + b"Content-Encoding: gzip\r\n", gzip.compress(b" " * 60_000_000)),
    ("a full body, compressed", JSON + b"Content-Encoding: gzip\r\n", gzip.compress(json.dumps({"x": "a" * 250_000}).encode())),
)  # fmt: skip
QUERIES: tuple[tuple[str, bytes], ...] = (
    ("fields", b"a&" * (LINE // 2)),
    ("equal fields", b"a=1&" * (LINE // 4)),
    ("lists", b"a[]&" * (LINE // 4)),
    ("escapes", b"a=" + b"%41" * (LINE // 3)),
    ("broken escapes", b"a=" + b"%" * LINE),
    ("keys", b"api_key=&" * (LINE // 9)),
    ("semicolons", b";" * LINE),
)
HEADERS: tuple[tuple[str, bytes], ...] = (
    ("hops", b"X-Forwarded-For: " + b"," * LINE + b"\r\n"),
    ("many", b"".join(b"X-%d: %s\r\n" % (number, b"v" * 600) for number in range(90))),
    ("cookies", b"Cookie: " + b"a=b;" * (LINE // 4) + b"\r\n"),
    ("idempotency key", b"Idempotency-Key: " + b"a" * LINE + b"\r\n"),
    ("host", b"X-Forwarded-Host: " + b"a." * (LINE // 2) + b"\r\n"),
    ("ranges", b"Range: bytes=" + b"1-," * (LINE // 3) + b"\r\n"),
)
IDS: tuple[tuple[str, bytes], ...] = (
    ("long", b"a" * LINE),
    ("escapes", b"%C3%A9" * (LINE // 6)),
    ("slashes", b"%2F" * (LINE // 3)),
)
MAX_JOBS = 500


def plain(method: str, path: bytes, *, headers: bytes = b"", body: bytes = b"") -> bytes:
    """Return a whole request."""
    length = b"Content-Length: %d\r\n" % len(body) if body or method in {"POST", "PUT", "PATCH"} else b""
    head = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % (method.encode(), path)
    return head + LOGIN + headers + length + b"\r\n" + body


def register(number: int = 1) -> bytes:
    """Return an ordinary registration."""
    body = b'{"job_id":"j%d","callback_url":"inbox:"}' % number
    return plain("POST", b"/v1/callbacks", headers=JSON, body=body)


def hostile_requests(route: Route) -> Iterator[Hostile]:
    """Give the hostile requests to one route: with each body, query, header and id."""
    name = f"{route.method} {route.path}"
    path = re.sub(r"\{\w+\}", "x", route.path).encode()
    if route.method in {"POST", "PUT", "PATCH"}:
        for what, headers, body in BODIES:
            sent = plain(route.method, path, headers=headers, body=body[:SIZE])
            yield Hostile(name=f"{name}, body: {what}", sent=sent)
    for what, query in QUERIES:
        yield Hostile(name=f"{name}, query: {what}", sent=plain(route.method, path + b"?" + query))
    for what, header in HEADERS:
        yield Hostile(name=f"{name}, header: {what}", sent=plain(route.method, path, headers=header))
    if "{" in route.path:
        for what, part in IDS:
            path = re.sub(r"\{\w+\}", part.decode(), route.path).encode()[:LINE]
            yield Hostile(name=f"{name}, id: {what}", sent=plain(route.method, path))


def other_requests() -> Iterator[Hostile]:
    """Give the hostile requests that are for no route in particular."""
    yield Hostile(name="a path of slashes", sent=plain("GET", b"/a" * (LINE // 2)))
    chunks = b"1\r\na\r\n" * (SIZE // 6) + b"0\r\n\r\n"
    head = plain("POST", b"/v1/callbacks", headers=b"Transfer-Encoding: chunked\r\n")
    yield Hostile(name="chunks of one byte", sent=head.replace(b"Content-Length: 0\r\n", b"") + chunks)
    shared = {
        "callback_url": "https://hooks.example.test/" + "p" * 4000,
        "metadata": "m" * 4000,
        "headers": {f"X-{number}": "v" * 390 for number in range(20)},
    }
    for name, fields in (
        ("with little", {"callback_url": "inbox:", "metadata": "m" * 1500}),
        ("with much", shared),
    ):
        body = json.dumps({"job_ids": [f"{name[5]}{n}" for n in range(MAX_JOBS)], **fields}).encode()
        yield Hostile(
            name=f"{MAX_JOBS} jobs {name}", sent=plain("POST", b"/v1/callbacks", headers=JSON, body=body)
        )
