"""What no-code tools really send, each a row: body, Content-Type, query, and what it means."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from bridge.api.requests.callback_request import CallbackRequest, read_callback_request
from bridge.errors import ValidationFailed

URL = "https://n8n.example.test/webhook-waiting/231?signature=a%2Fb&x=1"


def read(
    body: object = b"", kind: str = "application/json", query: tuple[tuple[str, str], ...] = ()
) -> CallbackRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_callback_request(raw, kind, query)


def refuse(
    body: object = b"", kind: str = "application/json", query: tuple[tuple[str, str], ...] = ()
) -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        read(body, kind, query)
    return caught.value


PLAIN = {"job_id": "123", "callback_url": URL}
MULTIPART = (
    b'--XX\r\nContent-Disposition: form-data; name="job_id"\r\n\r\n123\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="callback_url"\r\nContent-Type: text/plain\r\n\r\n'
    + URL.encode()
    + b"\r\n--XX--\r\n"
)
A_FILE = (
    b'--XX\r\nContent-Disposition: form-data; name="job_id"; filename="C:\\\\id;a.txt"\r\n'
    b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n123\r\n"
    b"--XX\r\ncontent-type: application/octet-stream\r\ncontent-disposition: form-data; filename=f; name=callback_url\r\n\r\n"
    + URL.encode()
    + b"\r\n--XX--"
)


@pytest.mark.parametrize(
    ("body", "kind", "query"),
    [
        (PLAIN, "application/json", ()),
        (PLAIN, "application/json; charset=utf-8", ()),
        (PLAIN, "text/plain", ()),  # Node-RED and many a script
        (PLAIN, "", ()),  # Node-RED: a string payload has no Content-Type
        (PLAIN, "application/octet-stream", ()),  # aiohttp's word for none
        (PLAIN, "application/x-www-form-urlencoded", ()),  # curl -d '{…}'
        ([PLAIN], "application/json", ()),  # Zapier, "wrap in array"
        (json.dumps(json.dumps(PLAIN)).encode(), "application/json", ()),  # encoded twice
        (b"\xef\xbb\xbf" + json.dumps(PLAIN).encode(), "application/json", ()),  # a BOM
        (b"  \r\n" + json.dumps(PLAIN).encode() + b"\r\n", "text/plain", ()),
        (json.dumps(PLAIN).encode("utf-16"), "application/json", ()),  # PowerShell
        ({**PLAIN, "job_id": 123}, "application/json", ()),  # n8n, expression
        ({**PLAIN, "job_id": 123.0}, "application/json", ()),
        ({**PLAIN, "job_id": ["123"]}, "application/json", ()),
        ({"data": {"job_id": "123"}, "callback_url": URL}, "application/json", ()),
        ({"data": [{"job_id": "123"}], "callback_url": URL}, "application/json", ()),
        (
            {
                "data": {"post": {"job_id": "123", "url": "https://cdn.example.test/a.mp4"}},
                "callback_url": URL,
            },
            "",
            (),
        ),
        (urlencode(PLAIN).encode(), "application/x-www-form-urlencoded", ()),
        (
            urlencode({**PLAIN, "events": "", "metadata": "", "secret": ""}).encode(),
            "application/x-www-form-urlencoded",
            (),
        ),
        (urlencode(PLAIN).encode(), "text/plain", ()),
        (urlencode(PLAIN).encode(), "", ()),
        (MULTIPART, "multipart/form-data; boundary=XX", ()),
        (MULTIPART, 'multipart/form-data; boundary="XX"', ()),
        (A_FILE, "multipart/form-data; boundary=XX", ()),  # a file counts as its text
        (b"", "", tuple(PLAIN.items())),
        (b"", "application/json", tuple(PLAIN.items())),
        (b" ", "application/json", tuple(PLAIN.items())),
        (
            {"job_id": "123"},
            "application/json",
            (("callback_url", URL),),
        ),  # the upstream's answer, URL in the query
        ({"job_id": "123", "webhook_url": URL}, "application/json", ()),
        ({"job_id": "123", "url": URL}, "application/json", ()),
        (
            {
                "job_id": "123",
                "url": "https://b.test/",
                "webhook_url": "https://c.test/",
                "callback_url": URL,
            },
            "",
            (),
        ),
        ({**PLAIN, "generated_post_id": None, "project_id": ""}, "application/json", ()),
        ({**PLAIN, "estimated_cost_cents": 4, "whatever": {"deep": [1]}}, "application/json", ()),
        ({**PLAIN, "follow": False, "wait_for": None}, "application/json", ()),
    ],
)
def test_every_dialect_means_the_same(body: object, kind: str, query: tuple[tuple[str, str], ...]) -> None:
    """A sync job with its URL byte for byte, whatever the tool does to it on the way."""
    request = read(body, kind, query)
    assert (request.jobs.kind, request.jobs.ids, request.callback_url) == ("sync_job", ("123",), URL)
    assert (request.once, request.expect, request.payload, request.verify) == (True, "any", "full", False)
    assert (request.events, request.metadata, request.timeout_seconds) == ((), None, None)


@pytest.mark.parametrize(
    ("fields", "kind", "ids"),
    [
        ({"job_ids": ["a", "b"]}, "sync_job", ("a", "b")),
        ({"job_ids": "a, b"}, "sync_job", ("a", "b")),
        ({"job_ids": '["a","b"]'}, "sync_job", ("a", "b")),
        ({"job_ids": [1, "1", 2]}, "sync_job", ("1", "2")),
        ({"job_ids": "a"}, "sync_job", ("a",)),
        ({"job_ids": 7}, "sync_job", ("7",)),
        ({"status": "started", "generated_post_id": "p"}, "generated_post", ("p",)),
        ({"data": {"id": "p", "status": "generating", "media_items": []}}, "generated_post", ("p",)),
        ({"id": "p", "media_items": [{"id": "i", "url": None}]}, "generated_post", ("p",)),
        ({"id": "p", "media_items": [], "outgoing_post_id": "o"}, "generated_post", ("p",)),
        ({"generated_media_item_id": "i"}, "generated_media_item", ("i",)),
        ({"generated_media_item_id": "i", "kind": "voice_conversion"}, "voice_conversion", ("i",)),
        ({"status": "publishing", "outgoing_post_id": "o"}, "outgoing_post", ("o",)),
        ({"post": {"id": "o", "deliveries": [], "persona_id": "u"}}, "outgoing_post", ("o",)),
        ({"data": {"id": "o", "deliveries": [], "generated_post_id": "p"}}, "outgoing_post", ("o",)),
        ({"success": True, "projectId": "abc123def456"}, "reelbot_video", ("abc123def456",)),
        ({"project_id": "abc123def456"}, "reelbot_video", ("abc123def456",)),
        ({"projectId": "abc", "project_id": "abc"}, "reelbot_video", ("abc",)),
        ({"kind": "sync_job", "id": "s"}, "sync_job", ("s",)),
        ({"kind": "generated_post", "id": "p"}, "generated_post", ("p",)),
        ({"kind": "generated_post", "job_id": "p"}, "generated_post", ("p",)),
        (
            {"kind": "generated_post", "generated_post_id": "p", "generated_media_item_id": "i"},
            "generated_post",
            ("p",),
        ),
        ({"kind": "voice_conversion", "id": "i"}, "voice_conversion", ("i",)),
        ({"kind": "sync_job", "job_ids": ["a", "b"]}, "sync_job", ("a", "b")),
        ({"kind": "reelbot_video", "id": 42}, "reelbot_video", ("42",)),
    ],
)
def test_the_job_is_named_in_the_upstreams_words(
    fields: dict[str, Any], kind: str, ids: tuple[str, ...]
) -> None:
    """An upstream's answer, posted back with a URL added, names its job."""
    jobs = read({**fields, "callback_url": URL}).jobs
    assert (jobs.kind, jobs.ids) == (kind, ids)


@pytest.mark.parametrize("query", [False, True])
def test_forms_and_queries_carry_lists_and_objects_as_text(query: bool) -> None:  # noqa: FBT001 -- both sides of one table
    """Commas divide lists, objects are JSON text, and numbers and flags are words."""
    fields = {
        **PLAIN,
        "events": "completed, failed",
        "metadata": '{"order": "42"}',
        "headers": '{"X-Make-ApiKey": "k", "X-Number": 5}',
        "timeout_seconds": "30",
        "once": "false",
        "verify": "TRUE",
        "payload": "flat",
    }
    request = read(b"", "", tuple(fields.items())) if query else read(urlencode(fields).encode(), "")
    assert request.events == ("completed", "failed")
    assert request.metadata == {"order": "42"}
    assert request.headers == {"X-Make-ApiKey": "k", "X-Number": "5"}
    assert (request.timeout_seconds, request.once, request.verify, request.payload) == (
        30.0,
        False,
        True,
        "flat",
    )


def test_repeated_form_fields_are_a_list() -> None:
    """`events=a&events=b` and `events[]=a&events[]=b` say the same."""
    for body in (b"events=completed&events=failed", b"events[]=completed&events[]=failed"):
        assert read(urlencode(PLAIN).encode() + b"&" + body, "").events == ("completed", "failed")


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"events": "failed"}, "events", ("failed",)),
        ({"events": ["sync_job.*"]}, "events", ("sync_job.*",)),
        ({"event_types": ["failed"]}, "events", ("failed",)),
        ({"webhook_events_filter": ["failed"]}, "events", ("failed",)),
        ({"events": [], "event_types": ["failed"]}, "events", ()),
        ({"metadata": "order 42"}, "metadata", "order 42"),
        ({"metadata": '{"is": "text in JSON"}'}, "metadata", '{"is": "text in JSON"}'),
        (
            {"metadata": {"nested": {"ok": [1, 2.5, None, True, "\u0000é😀"]}}},
            "metadata",
            {"nested": {"ok": [1, 2.5, None, True, "\u0000é😀"]}},
        ),
        ({"headers": '{"X-A": "b"}'}, "headers", {"X-A": "b"}),
        ({"timeout_seconds": "30"}, "timeout_seconds", 30.0),
        ({"timeout_seconds": 0.5e1}, "timeout_seconds", 5.0),
        ({"timeout_seconds": 30 * 86400}, "timeout_seconds", 2_592_000.0),
        ({"once": "true"}, "once", True),
        ({"once": 0}, "once", False),
        ({"once": ["false"]}, "once", False),
        ({"persona_id": 12}, "persona", "12"),
        ({"account_id": "acc_1"}, "account_id", "acc_1"),
    ],
)
def test_options_are_read_loosely(fields: dict[str, Any], name: str, value: object) -> None:
    """Words for numbers and flags, one thing for a list of one, older names for events."""
    assert getattr(read({**PLAIN, **fields}), name) == value


def test_retried_items_mean_the_run_they_start() -> None:
    """The answer of a `failed_only` regeneration names old and new items."""
    request = read(
        {
            "status": "started",
            "generated_post_id": "p",
            "retried_items": [
                {"original_item_id": "a", "new_item_id": 2, "media_type": "video", "status": "pending"}
            ],
            "callback_url": URL,
            "expect": "new_run",
        }
    )
    assert request.jobs.retried == (("a", "2"),)
    assert request.expect == "new_run"


def test_metadata_in_a_form_may_be_text_that_only_looks_like_json() -> None:
    """A label in braces is a label."""
    assert read(urlencode({**PLAIN, "metadata": "{order 42}"}).encode(), "").metadata == "{order 42}"
