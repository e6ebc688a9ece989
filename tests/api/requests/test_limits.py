"""What a request may be made of, and what it costs."""

import gzip
import json
import time
import zlib
from typing import Any

import pytest

from bridge.api.requests.bodies import MAX_FIELDS, check_query, read_fields
from bridge.api.requests.callback_request import read_callback_request
from bridge.api.requests.commands import MAX_REQUEST_BYTES, plan_commands
from bridge.api.requests.content_coding import decode_content
from bridge.domain.urls.policy import plan_policy
from bridge.errors import PayloadTooLarge, ValidationFailed
from tests.api.serving import BEARER, Client

LIMIT = 1000
POLICY = plan_policy(host="", allow_http=None, allow_networks=None, own_origins=frozenset())


@pytest.mark.parametrize("query", ["a&" * 8_000, "&" * MAX_FIELDS, "a=1&" * MAX_FIELDS, "job_id=1&" * 1_500])
async def test_a_query_has_the_field_limit_of_a_form(api: Client, query: str) -> None:
    """It is refused before anything is parsed, with and without a key."""
    for headers in (BEARER, {}):
        status, body = await api.call("POST", f"/v1/callbacks?{query}", headers=headers)
        assert (status, body["error"]["details"]) == (400, {"field": "query"})
        assert str(MAX_FIELDS) in body["error"]["message"]


def test_a_query_of_the_most_fields_is_read() -> None:
    """As a form of so many fields is."""
    check_query("a&" * (MAX_FIELDS - 1) + "a")
    body = b"a&" * (MAX_FIELDS - 1) + b"a"
    assert len(read_fields(body, "application/x-www-form-urlencoded", ()).values["a"]) == MAX_FIELDS


def measure(count: int) -> float:
    pairs = [("a", "x")] * count
    began_s = time.thread_time()
    for _ in range(5):
        assert read_fields(b"", "", pairs).values == {"a": ["x"] * count}
    return time.thread_time() - began_s


def test_repeated_fields_cost_linear_time() -> None:
    """Ten times as many of one name take about ten times as long; a list that is copied for each takes a hundred."""
    small = min(measure(2_000) for _ in range(5))
    assert min(measure(20_000) for _ in range(3)) < 40 * small


def test_a_long_content_type_is_none() -> None:
    """Its parameters are not parsed, and the content decides as it does without one."""
    fields = read_fields(b'{"a": 1}', "multipart/form-data" + ';"' * 8_000, ())
    assert fields.values == {"a": 1}


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("ISO-8859-1", "é".encode("latin-1")),
        ("latin1", "é".encode("latin-1")),
        ("Windows-1252", "é".encode("cp1252")),
        ("UTF_16LE", "é".encode("utf-16-le")),
        ("utf-8", "é".encode()),
        ("idna", "é".encode()),
        ("x-unheard-of", "é".encode()),
    ],
)
def test_a_declared_charset_is_used_if_clients_use_it(charset: str, body: bytes) -> None:
    """Any other is taken for UTF-8; names with underscores are the same ones."""
    quote = '"' if charset != "UTF_16LE" else None
    encode = "utf-16-le" if quote is None else "ascii"
    sent = '{"a": "'.encode(encode) + body + '"}'.encode(encode)
    assert read_fields(sent, f"application/json; charset={charset}", ()).values == {"a": "é"}


def pack(plain: bytes) -> bytes:
    """Return gzip without the time, so that every process of a test run names its cases alike."""
    return gzip.compress(plain, mtime=0)


def raw_deflate(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", b"plain"),
        ("identity", b"plain"),
        ("gzip", pack(b"plain")),
        (" X-GZIP ", pack(b"plain")),
        ("deflate", zlib.compress(b"plain")),
        ("deflate", raw_deflate(b"plain")),
    ],
)
def test_a_content_coding_is_undone(coding: str, body: bytes) -> None:
    """What clients really send."""
    assert decode_content(body, coding, limit=LIMIT) == b"plain"


@pytest.mark.parametrize(
    ("coding", "body", "error"),
    [
        ("gzip", pack(b" " * 50_000_000), PayloadTooLarge),
        ("gzip", pack(b"a" * (LIMIT + 1)), PayloadTooLarge),
        ("gzip", pack(b"plain")[:-1], ValidationFailed),
        ("gzip", pack(b"plain") + b"x", ValidationFailed),
        ("gzip", b"plain", ValidationFailed),
        ("br", b"plain", ValidationFailed),
        ("gzip, gzip", pack(pack(b"plain")), ValidationFailed),
    ],
)
def test_a_coded_body_that_is_none_or_too_large_is_refused(
    coding: str, body: bytes, error: type[Exception]
) -> None:
    """Without unpacking more than the limit."""
    with pytest.raises(error):
        decode_content(body, coding, limit=LIMIT)
    assert decode_content(b"", coding, limit=LIMIT) == b""


async def test_a_compressed_registration_is_read(api: Client) -> None:
    """Also with an Idempotency-Key, which compares the decoded body."""
    fields = json.dumps({"job_id": "1", "callback_url": "inbox:"}).encode()
    headers = {**BEARER, "Content-Encoding": "gzip", "Idempotency-Key": "k"}
    status, made = await api.call(
        "POST", "/v1/callbacks", data=gzip.compress(fields, mtime=1), headers=headers
    )
    assert (status, made["job_id"]) == (201, "1")
    again = await api.call("POST", "/v1/callbacks", data=gzip.compress(fields, mtime=2), headers=headers)
    assert again == (201, made)


@pytest.mark.parametrize("events", ["," * 60_000, ["*"] * 51, ["a" * 9_000], "completed," * 51])
def test_long_event_filters_are_refused_early(events: Any) -> None:
    """At most 50 entries, whatever they are."""
    raw = json.dumps({"job_id": "1", "callback_url": "inbox:", "events": events}).encode()
    with pytest.raises(ValidationFailed, match="at most 50 entries"):
        read_callback_request(raw, "application/json")


def plan(count: int, **fields: Any) -> int:
    ids = [f"job-{number}" for number in range(count)]
    raw = json.dumps({"job_ids": ids, "callback_url": "https://a.test/x", **fields}).encode()
    return len(plan_commands(read_callback_request(raw, "application/json"), POLICY))


def test_one_request_makes_no_more_bytes_than_it_may() -> None:
    """64 KB with 500 ids would else become 10 MB in the store, written in one step."""
    assert plan(500, metadata="m" * 1_500) == 500
    assert plan(1, metadata="m" * 4_000, headers={"X-A": "v" * 2_000}) == 1
    with pytest.raises(ValidationFailed, match="job_ids: 500 callbacks of") as refused:
        plan(500, metadata="m" * 4_000)
    fitting = int(refused.value.message.partition("at most ")[2].partition(" ids")[0])
    assert fitting == MAX_REQUEST_BYTES // (4_002 + 2 * 16)
    assert plan(fitting, metadata="m" * 4_000) == fitting
