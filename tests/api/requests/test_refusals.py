"""Bad registrations: a 400 that names the field and the fix, whatever comes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.api.requests.callback_request import read_callback_request
from bridge.errors import ValidationFailed

URL = "https://hooks.example.test/x"


def refuse(raw: bytes, kind: str = "application/json") -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        read_callback_request(raw, kind)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "field", "fix"),
    [
        ({}, "job_id", "name the job"),
        ({"id": "x"}, "job_id", "add kind"),
        ({"jobId": "x"}, "job_id", "'jobId' is spelt job_id here"),
        ({"Job ID": "x"}, "job_id", "'Job ID' is spelt job_id here"),
        ({"generatedPostId": "x"}, "job_id", "'generatedPostId' is spelt generated_post_id here"),
        ({"job_id": "a", "generated_post_id": "b"}, "kind", "more than one job"),
        ({"job_id": "a", "job_ids": ["b"]}, "kind", "more than one job"),
        ({"projectId": "a", "project_id": "b"}, "kind", "more than one job"),
        ({"id": "a", "media_items": [], "deliveries": []}, "kind", "more than one job"),
        ({"id": "a", "media_items": [], "job_id": "b"}, "kind", "more than one job"),
        ({"kind": "video", "id": "a"}, "kind", "sync_job"),
        ({"kind": 7, "id": "a"}, "kind", "sync_job"),
        ({"kind": "outgoing_post"}, "outgoing_post_id", "or id"),
        ({"kind": "publishing_delivery", "id": "d"}, "kind", "once: false"),
        ({"job_id": ["a", "b"]}, "job_id", "job_ids"),
        ({"job_id": True}, "job_id", "text or a whole number"),
        ({"job_id": 1.5}, "job_id", "text or a whole number"),
        ({"job_id": {"a": 1}}, "job_id", "text or a whole number"),
        ({"job_id": "x" * 201}, "job_id", "200"),
        ({"job_id": 10**300}, "job_id", "200"),
        ({"job_id": "a/b"}, "job_id", "not an id"),
        ({"job_id": "../x"}, "job_id", "not an id"),
        ({"job_id": "a%00"}, "job_id", "not an id"),
        ({"job_id": "a\r\nX: y"}, "job_id", "not an id"),
        ({"job_id": "a\n"}, "job_id", "without blanks around it"),
        ({"job_id": "a\u0000"}, "job_id", "not an id"),
        ({"job_id": "\ud800"}, "job_id", "not an id"),
        ({"job_id": "."}, "job_id", "not an id"),
        ({"job_id": "{{ $json.id }}"}, "job_id", "was not filled in"),
        ({"job_id": "undefined"}, "job_id", "was not filled in"),
        ({"project_id": "[object Object]"}, "project_id", "was not filled in"),
        ({"kind": "generated_post", "id": "${id}"}, "id", "was not filled in"),
        ({"job_ids": ["a", "null"]}, "job_ids", "was not filled in"),
        ({"job_ids": []}, "job_ids", "list of ids"),
        ({"job_ids": {}}, "job_ids", "list of ids"),
        ({"job_ids": ["a", None]}, "job_ids", "text or a whole number"),
        ({"job_ids": [str(n) for n in range(501)]}, "job_ids", "at most 500"),
        ({"generated_post_id": "p", "retried_items": [{}]}, "retried_items", "original_item_id"),
        ({"generated_post_id": "p", "retried_items": "x"}, "retried_items", "list of objects"),
        ({"job_id": "a", "callback_url": None}, "callback_url", "add the URL"),
        (
            {"job_id": "a", "callback_url": None, "callbackUrl": URL},
            "callback_url",
            "is spelt callback_url here",
        ),
        ({"job_id": "a", "callback_url": 5}, "callback_url", "string"),
        ({"job_id": "a", "callback_url": "https://a.test/\ud800"}, "callback_url", "surrogate"),
        ({"job_id": "a", "events": 5}, "events", "list of texts"),
        ({"job_id": "a", "events": [5]}, "events", "list of texts"),
        ({"job_id": "a", "events": ["x"] * 51}, "events", "at most 50"),
        ({"job_id": "a", "once": "maybe"}, "once", "true or false"),
        ({"job_id": "a", "once": 2}, "once", "true or false"),
        ({"job_id": "a", "once": {}}, "once", "true or false"),
        ({"job_id": "a", "metadata": ["x", "y"]}, "metadata", "object or text"),
        ({"job_id": "a", "metadata": 5}, "metadata", "object or text"),
        ({"job_id": "a", "metadata": "x" * 4095}, "metadata", "4096"),
        ({"job_id": "a", "metadata": {"x": "é" * 2048}}, "metadata", "4096"),
        ({"job_id": "a", "metadata": {"x": "\ud800"}}, "metadata", "surrogate"),
        ({"job_id": "a", "metadata": {"x": 2**64}}, "metadata", "64 bits"),
        ({"job_id": "a", "headers": ["a", "b"]}, "headers", "object"),
        ({"job_id": "a", "headers": "X-A: b"}, "headers", "JSON"),
        ({"job_id": "a", "headers": {"Host": "b"}}, "headers", "Host"),
        ({"job_id": "a", "headers": {"webhook-id": "b"}}, "headers", "webhook-id"),
        ({"job_id": "a", "headers": {"X-A": "b\r\nX-B: c"}}, "headers", "line break"),
        ({"job_id": "a", "headers": {"X-A": {"b": 1}}}, "headers", "text"),
        ({"job_id": "a", "secret": "hunter2"}, "secret", "whsec_"),
        ({"job_id": "a", "timeout_seconds": 0}, "timeout_seconds", "1"),
        ({"job_id": "a", "timeout_seconds": 30 * 86400 + 1}, "timeout_seconds", "2592000"),
        ({"job_id": "a", "timeout_seconds": "soon"}, "timeout_seconds", "number of seconds"),
        ({"job_id": "a", "timeout_seconds": "nan"}, "timeout_seconds", "number of seconds"),
        ({"job_id": "a", "timeout_seconds": True}, "timeout_seconds", "number of seconds"),
        ({"job_id": "a", "expect": "new_run"}, "expect", "generated posts and generated media items"),
        ({"project_id": "a", "expect": "new_run"}, "expect", "generated posts and generated media items"),
        ({"job_id": "a", "expect": "soon"}, "expect", "new_run"),
        ({"job_id": "a", "payload": "xml"}, "payload", "must be 'full', 'thin', 'flat' or 'cloudevents'"),
        ({"project_id": "a", "follow": True}, "follow", "sync jobs and generated posts"),
        ({"job_ids": ["a", "b"], "follow": "true"}, "follow", "each by itself"),
        ({"job_id": "a", "wait_for": "all"}, "wait_for", "job_ids"),
        ({"job_ids": ["a"], "wait_for": "any"}, "wait_for", "must be 'all'"),
        ({"job_ids": ["a"], "wait_for": "all", "once": False}, "once", "leave it out"),
        ({"job_id": "a", "persona_id": "../x"}, "persona_id", "not an id"),
        ({"data": [{"job_id": "a"}, {"job_id": "b"}]}, "data", "job_ids"),
    ],
)
def test_a_refusal_names_the_field_and_the_fix(fields: dict[str, Any], field: str, fix: str) -> None:
    """The message is all that a no-code user sees."""
    error = refuse(json.dumps({"callback_url": URL, **fields}).encode())
    assert error.status == 400
    assert error.details["field"] == field
    assert error.message.startswith(f"{field}: ")
    assert fix in error.message


@pytest.mark.parametrize(
    ("raw", "kind", "fix"),
    [
        (b"{", "application/json", "line 1"),
        (b"[]", "application/json", "array"),
        (b'[{"job_id":"a"},{"job_id":"b"}]', "application/json", "job_ids"),
        (b"5", "application/json", "not an object"),
        (b"null", "application/json", "not an object"),
        (b'"x"', "application/json", "JSON"),
        (b"job_id=1", "application/json", "JSON"),  # a label that promises JSON is believed
        (b'{"job_id": NaN}', "application/json", "NaN"),
        (b'{"metadata": {"a": Infinity}}', "application/json", "Infinity"),
        (b'{"timeout_seconds": 1e999}', "application/json", "too large"),
        (b'{"job_id": ' + b"9" * 5000 + b"}", "application/json", "too long"),
        (b"[" * 100_000, "application/json", "deep"),
        (b'{"a":' * 100_000, "application/json", "deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "application/json", "deep"),
        (b"\xff\xfe\x00", "application/json", "UTF-8"),
        (b'{"job_id": "\xff"}', "application/json", "UTF-8"),
        (b"a=%ff", "application/x-www-form-urlencoded", "UTF-8"),
        (b"a=1&" * 1001, "application/x-www-form-urlencoded", "1000"),
        (b"x", "multipart/form-data", "boundary"),
        (b"x", "multipart/form-data; boundary=" + "b" * 71, "boundary"),
        (b"x", "multipart/form-data; boundary=b", "boundary"),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b", "name"),
        (b"--b\r\n" * 1002, "multipart/form-data; boundary=b", "1000"),
        (
            b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--',
            "multipart/form-data; boundary=b",
            "UTF-8",
        ),
        (
            b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n' * 1001 + b"--b--",
            "multipart/form-data; boundary=b",
            "1000",
        ),
        (  # cut off on its way: half a form is no form
            b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx',
            "multipart/form-data; boundary=b",
            "boundary",
        ),
        (
            b'--b\r\ncontent-disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--',
            "multipart/form-data; boundary=b",
            "name",
        ),
    ],
)
def test_a_body_that_is_nothing_is_refused(raw: bytes, kind: str, fix: str) -> None:
    """Deeply nested JSON, odd numbers, broken text and broken forms are refused with a 400."""
    error = refuse(raw, kind)
    assert error.details["field"] == "body"
    assert fix in error.message


def test_the_last_of_two_equal_keys_counts() -> None:
    """As in every tool's own JSON reader."""
    raw = b'{"job_id":"a","job_id":"b","callback_url":"inbox:"}'
    assert read_callback_request(raw, "").jobs.ids == ("b",)


def test_a_secret_is_never_repeated_in_a_refusal() -> None:
    """Neither a signing secret, nor a header's value, nor the URL's query."""
    for fields in (
        {"secret": "hunter2hunter2"},
        {"headers": {"X-A": "hunter2\n"}},
        {"headers": {"X-A": ["hunter2"]}},
        {"callback_url": ["hunter2", "hunter2"]},
        {"metadata": ["hunter2"] * 2},
        {"timeout_seconds": "hunter2"},
    ):
        error = refuse(json.dumps({"job_id": "a", "callback_url": URL, **fields}).encode())
        assert "hunter2" not in json.dumps(error.body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    ["job_id", "job_ids", "kind", "id", "media_items", "deliveries", "data", "post", "callback_url", "url", "events",
     "once", "metadata", "headers", "secret", "persona_id", "timeout_seconds", "expect", "payload", "verify", "follow",
     "wait_for", "retried_items", "generated_post_id", "project_id", "account_id"]
)  # fmt: skip


@given(st.dictionaries(NAMES, JSON, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_json_is_understood_or_refused(fields: dict[str, Any]) -> None:
    """Nothing but ValidationFailed ever comes out, and its body can be sent."""
    try:
        read_callback_request(json.dumps({"callback_url": URL, "job_id": "a", **fields}).encode(), "")
    except ValidationFailed as error:
        json.dumps(error.body, ensure_ascii=False).encode()


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            "",
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            "a/b; charset=utf-16",
            "é",
        ]
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_understood_or_refused(raw: bytes, kind: str) -> None:
    """Whatever the label says."""
    try:
        read_callback_request(raw, kind, (("job_id", "a"), ("callback_url", URL)))
    except ValidationFailed as error:
        json.dumps(error.body, ensure_ascii=False).encode()
