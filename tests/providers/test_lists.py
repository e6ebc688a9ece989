"""Lists: what a page of rows says of many jobs at once, whatever was sent."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    PollResult,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.providers import KINDS, Lens
from bridge.providers.lists import Rows, RowSeen, read_list, read_row

POST, SYNC, OUTGOING = KINDS["generated_post"], KINDS["sync_job"], KINDS["outgoing_post"]
LISTED = [POST, SYNC, OUTGOING]
NOW_MS = 1_767_609_000_000
LENS = Lens(now_ms=NOW_MS)
ITEM = {"id": "i1", "status": "generating", "media_type": "video"}
URL = "https://cdn.example.test/a.mp4"
REFUSAL = {"error": {"code": "NOT_FOUND", "message": "no such persona"}}


def listed(
    body: object, kind: str = "sync_job", *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Rows | PollResult:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_list(KINDS[kind], http_status=status, headers=headers or {}, body=raw, now_ms=NOW_MS)


def sync(job_id: object, status: object = "running", **more: Any) -> dict[str, Any]:
    return {"id": job_id, "status": status, **more}


def seen(kind: str, row: Mapping[str, Any], lens: Lens = LENS) -> RowSeen:
    found = read_row(KINDS[kind], str(row["id"]), row, lens)
    assert found is not None
    return found


def post(status: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "p1", "status": status, "review_status": "pending_review", "media_items": [*items], **more}


def test_rows_come_in_the_lists_order_in_an_envelope_or_bare() -> None:
    """Ids as text, also numbers; what is no object is no row."""
    rows = [sync("b"), sync(7), None, "x", sync("a")]
    for body in (rows, {"data": rows}, {"data": rows, "count": 3}):
        found = listed(body)
        assert isinstance(found, Rows)
        assert [identifier for identifier, _ in found.rows] == ["b", "7", "a"]
        assert found.rows[0][1] == sync("b")
    assert listed([]) == listed({"data": []}) == Rows(rows=(), count=0)


@pytest.mark.parametrize(
    ("count", "told"), [(250, 250), (0, 0), (-1, 0), ("250", 0), (2.5, 0), (None, 0), (10**30, 0), ([], 0)]
)
def test_a_count_is_a_sane_number_or_nothing(count: object, told: int) -> None:
    """A bare list, and an envelope without one, tell none."""
    assert listed({"data": [sync("a")], "count": count}) == Rows(rows=(("a", sync("a")),), count=told)


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (401, REFUSAL, KeyRefused()),
        (403, REFUSAL, KindForbidden()),
        (404, REFUSAL, JobNotFound()),
        (404, {"detail": "no such route"}, UpstreamBroken),
        (402, REFUSAL, UnexpectedAnswer),
        (500, REFUSAL, UpstreamBroken),
        (502, b"<html>", UpstreamBroken),
        (503, {}, UpstreamBusy(wait_s=60)),
    ],
)
def test_a_refusal_reads_as_for_a_single_job(status: int, body: object, result: object) -> None:
    """By status first, and content second."""
    found = listed(body, status=status)
    assert isinstance(found, result) if isinstance(result, type) else found == result


def test_a_429_says_until_when() -> None:
    """As for a single read."""
    assert listed({}, status=429, headers={"Retry-After": "20"}) == Throttled(until_ms=NOW_MS + 20_000)


@pytest.mark.parametrize("body", [b"", b"<!doctype html><p>sign in</p>", b"{", b"[" * 100_000, b"\xff"])
def test_what_cannot_be_read_is_an_outage(body: bytes) -> None:
    """Though the status says 200."""
    assert isinstance(listed(body), UpstreamBroken)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("sync_job", {}),
        ("sync_job", {"data": None}),
        ("sync_job", {"data": {"id": "a", "status": "running"}}),
        ("sync_job", "rows"),
        ("sync_job", 3),
        ("sync_job", [sync(str(number)) for number in range(1001)]),
        ("sync_job", [sync("a"), {"status": "running"}]),
        ("sync_job", [sync("a"), sync(None)]),
        ("sync_job", [sync("a"), sync(job_id=True)]),
        ("sync_job", [sync("a"), sync("")]),
        ("sync_job", [sync("a"), {"id": "b"}]),
        ("generated_post", [post("generating"), {"id": "p2", "status": "generating"}]),
        ("generated_post", [post("generating", media_items=None)]),
        ("generated_post", [post("generating", media_items={"i1": ITEM})]),
        ("outgoing_post", [{"id": "o1", "status": "publishing"}]),
    ],
)
def test_a_list_whose_rows_do_not_tell_is_not_used(kind: str, body: object) -> None:
    """No id, no state, no items: then each job is read by itself."""
    assert isinstance(listed(body, kind), UnexpectedAnswer)


def test_a_row_of_documented_fields_only_shows_an_end_without_its_results() -> None:
    """Items by their status, no more: the end is certain, but a receiver wants the URLs."""
    found = seen("generated_post", post("completed", {"status": "completed"}, {"status": "completed"}))
    assert found.observation.ending is not None
    assert (found.observation.ending.word, found.observation.review) == ("completed", "pending_review")
    assert (found.names_parts, found.is_whole) == (False, False)


def test_a_row_with_item_ids_names_its_parts() -> None:
    """Still without the URL of what was made."""
    found = seen("generated_post", post("completed", {"id": "i1", "status": "completed"}))
    assert (found.names_parts, found.is_whole) == (True, False)
    half = seen("generated_post", post("generating", ITEM, {"status": "generating"}))
    assert (half.names_parts, half.is_whole) == (False, False)


@pytest.mark.parametrize(
    "row",
    [
        post("completed", {**ITEM, "status": "completed", "url": URL}),
        post("failed", {**ITEM, "status": "failed"}, {"id": "i2", "status": "completed", "url": URL}),
        post("generating", ITEM),
        post("pending"),
    ],
)
def test_a_whole_row_is_as_good_as_a_read(row: dict[str, Any]) -> None:
    """Each item has its id, each finished one its URL."""
    found = seen("generated_post", row)
    assert (found.names_parts, found.is_whole) == (True, True)
    assert found.observation.data == row


def test_one_finished_item_without_its_url_makes_a_row_short() -> None:
    """Also while others still run: its own event would lack it."""
    done = {"id": "i2", "status": "completed"}
    assert not seen("generated_post", post("generating", ITEM, done)).is_whole
    assert not seen("generated_post", post("generating", ITEM, {**done, "url": ""})).is_whole


@pytest.mark.parametrize(
    ("row", "whole"),
    [
        (sync("p1"), True),
        (sync("p1", "completed"), True),
        (sync("p1", "failed"), False),
        (sync("p1", "failed", error_message="source is private"), True),
        (sync("p1", "failed", error_message=None), True),  # its field is there: there is no reason
    ],
)
def test_a_failed_sync_job_is_whole_with_its_reasons_field(row: dict[str, Any], *, whole: bool) -> None:
    """Other rows of sync jobs lack nothing."""
    assert seen("sync_job", row).is_whole is whole


def test_an_outgoing_post_is_judged_by_the_deliveries_of_its_row() -> None:
    """They have no URL of their own to wait for; without ids it is not known what became of which."""
    row = {"id": "o1", "status": "published", "deliveries": [{"id": "d1", "status": "published"}]}
    found = seen("outgoing_post", row)
    assert found.observation.ending is not None
    assert (found.observation.ending.word, found.names_parts, found.is_whole) == ("published", True, True)
    nameless = seen("outgoing_post", {**row, "deliveries": [{"status": "published"}]})
    assert (nameless.names_parts, nameless.is_whole) == (False, False)


def test_a_row_of_another_job_tells_nothing() -> None:
    """Whatever the caller took it for."""
    assert read_row(SYNC, "other", sync("p1"), LENS) is None


NAMES = st.sampled_from(
    ["id", "status", "data", "post", "count", "media_items", "deliveries", "url", "review_status", "error"]
)
WORDS = st.sampled_from(["completed", "failed", "generating", "published", "running", "p1", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
PIECES = st.lists(ANY | st.dictionaries(NAMES, SCALARS, max_size=4), max_size=3)
ROW = st.fixed_dictionaries(
    {"id": WORDS | st.integers(), "status": WORDS | ANY},
    optional={"media_items": PIECES, "deliveries": PIECES, "post": ANY, "error_message": ANY},
)
BODY = ANY | st.lists(ROW, max_size=5) | st.fixed_dictionaries({"data": st.lists(ROW, max_size=5)})


@settings(deadline=None)  # a loaded machine is slow
@given(kind=st.sampled_from(LISTED), body=BODY, status=st.just(200) | st.integers(100, 599))
def test_nothing_that_is_sent_raises(kind: Any, body: Any, status: int) -> None:
    """And every row that is given is one whose state can be told, or None."""
    raw = json.dumps(body).encode()
    found = read_list(kind, http_status=status, headers={}, body=raw, now_ms=NOW_MS)
    if isinstance(found, Rows):
        assert 200 <= status < 300
        assert 0 <= found.count < 10**9
        for identifier, row in found.rows:
            told = read_row(kind, identifier, row, LENS)
            assert told is None or (told.observation.data["id"] == row["id"])
            assert told is None or told.names_parts or not told.is_whole


@settings(deadline=None)  # a loaded machine is slow
@given(kind=st.sampled_from(LISTED), raw=st.binary(max_size=60), status=st.integers(100, 599))
def test_no_bytes_raise(kind: Any, raw: bytes, status: int) -> None:
    """Nor do they make rows out of nothing."""
    found = read_list(kind, http_status=status, headers={}, body=raw, now_ms=NOW_MS)
    assert not isinstance(found, Rows) or found.rows == ()


def test_superseded_items_do_not_make_a_row_short() -> None:
    """They count for nothing, as in a read of the post itself."""
    row = post(
        "completed", {"id": "i0", "status": "replaced"}, {"id": "i1", "status": "completed", "url": URL}
    )
    found = seen("generated_post", row, Lens(now_ms=NOW_MS, superseded=frozenset({"i0"})))
    assert (found.names_parts, found.is_whole) == (True, True)
