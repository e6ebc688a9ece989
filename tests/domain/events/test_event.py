"""Events as they are stored, their errors and summaries."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.events.event import (
    DATA_BYTES,
    Fact,
    build_error,
    build_event,
    build_summary,
    read_event_job,
)
from bridge.domain.events.schema import ERROR_CODES
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Ending, Outcome, Part
from bridge.providers.registry import CATALOGUE

FACT = Fact(
    word="completed",
    kind="generated_post",
    job_id="a1",
    status="completed",
    outcome=Outcome.SUCCEEDED,
    error=None,
    summary=None,
    related={"persona_id": "p1"},
    data={"id": "a1", "status": "completed"},
    run=2,
    late=False,
)


def build(fact: Fact, *, lag_max_ms: int | None = 10_000) -> bytes:
    """Store a fact with everything else fixed."""
    return build_event(
        CATALOGUE,
        fact,
        event_id="evt_x",
        at_ms=1_795_257_250_123,
        sequence=5,
        polls=7,
        lag_max_ms=lag_max_ms,
    )


def part(name: str, outcome: Outcome | None) -> Part:
    """An item that ended in a way, or still runs."""
    ending = None if outcome is None else Ending(word="x", outcome=outcome)
    return Part(id=name, status="", ending=ending, data={})


def test_a_stored_event_has_the_contracts_fields_and_no_subscription() -> None:
    """Metadata and callback belong to a delivery, not to the fact."""
    assert json.loads(build(FACT)) == {
        "id": "evt_x",
        "type": "generated_post.completed",
        "timestamp": "2026-11-21T10:34:10.123Z",
        "object": "generated_post",
        "job_id": "a1",
        "status": "completed",
        "outcome": "succeeded",
        "error": None,
        "summary": None,
        "related": {"persona_id": "p1"},
        "run": 2,
        "sequence": 5,
        "data": {"id": "a1", "status": "completed"},
        "bridge": {
            "schema": 1,
            "observed_at": "2026-11-21T10:34:10.123Z",
            "polls": 7,
            "detection_lag_max_ms": 10_000,
            "late": False,
        },
    }


def test_what_is_not_known_is_null() -> None:
    """A status never seen, an outcome of a notice and a lag without a former read are null."""
    event = json.loads(build(replace(FACT, status="", outcome=None, late=True), lag_max_ms=None))
    assert (event["status"], event["outcome"], event["bridge"]["detection_lag_max_ms"]) == (None, None, None)
    assert event["bridge"]["late"] is True


def test_a_stored_event_is_written_as_javascript_writes_it() -> None:
    """Its parts go out byte for byte, so they must be in their final form already."""
    data = {"id": "a1", "n": 12.0, "tiny": 1e-7, "big": 2**60, "2": "index", "text": "\x00\u2028\ud83d é😀"}
    event = build(replace(FACT, data=data))
    assert to_js_json(json.loads(event)) == event
    assert b'"n":12,' in event


@pytest.mark.parametrize("text", ["plain", "a lone half \ud800", "\x00"])
def test_the_job_of_a_stored_event_can_be_read(text: str) -> None:
    """Also where the object holds what strict readers refuse."""
    assert read_event_job(build(replace(FACT, job_id="j1", data={"id": "j1", "text": text}))) == "j1"


def test_data_of_just_the_limit_is_left_whole() -> None:
    """The limit is on the bytes of `data` as they are sent."""
    frame = len(to_js_json({"id": "a1", "text": ""}))
    whole = {"id": "a1", "text": "é" * ((DATA_BYTES - frame) // 2)}
    assert json.loads(build(replace(FACT, data=whole)))["data"] == whole
    event = json.loads(build(replace(FACT, data={"id": "a1", "text": whole["text"] + "éé"})))
    assert event["data"] == {"id": "a1"}
    assert event["bridge"]["truncated"] is True


def test_large_data_is_cut_to_its_status_fields() -> None:
    """What is left still tells the state of the post and of each item."""
    items = [
        {"id": f"i{n}", "status": "failed", "url": "x" * 3000, "error_message": "e" * 900} for n in range(100)
    ]
    data = {
        "id": "a1",
        "status": "completed",
        "review_status": "approved",
        "caption": "x",
        "media_items": items,
    }
    event = json.loads(build(replace(FACT, data=data)))
    assert event["bridge"]["truncated"] is True
    assert set(event["data"]) == {"id", "status", "review_status", "media_items"}
    assert event["data"]["media_items"][99] == {"id": "i99", "status": "failed", "error_message": "e" * 500}


@pytest.mark.parametrize(
    "data",
    [
        {"id": "a1", "status": "s" * 900_000},
        {"id": "a1", "media_items": [{"id": "i", "status": "x" * 600, "error_message": "😀" * 600}] * 2_000},
        {"id": "a1", "media_items": ["x"] * 900_000},
        {"id": "a1", "status": {"deep": ["x" * 900_000]}},
        {"id": "a1", "error_message": "\x00" * 900_000},
    ],
    ids=["long word", "many items", "no objects", "nested status", "escapes"],
)
def test_no_data_makes_a_large_event(data: dict[str, Any]) -> None:
    """Whatever an upstream sends, the event stays within its limit and keeps the id."""
    event = build(replace(FACT, data=data))
    assert len(event) < DATA_BYTES + 2_000
    assert json.loads(event)["data"]["id"] == "a1"


@pytest.mark.parametrize(
    ("word", "message", "outcomes", "expected"),
    [
        ("completed", None, [], None),
        ("skipped", None, [], None),
        ("generating", None, [Outcome.FAILED], None),
        ("replaced", None, [], None),
        ("failed", "it broke", [], ("upstream_failed", "it broke", True, [])),
        # a provider's own word for a failure
        ("broken", "it broke", [], ("upstream_failed", "it broke", True, [])),
        # all items done and yet partial: the post's own failure
        ("partial", "no caption", [Outcome.SUCCEEDED], ("upstream_failed", "no caption", True, [])),
        (
            "partial",
            None,
            [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED],
            ("items_failed", "1 of 3 items failed", True, ["i1"]),
        ),
        ("failed", None, [Outcome.FAILED], ("items_failed", "1 of 1 item failed", True, ["i0"])),
        (
            "partial",
            "1 of 2 deliveries failed: token",
            [Outcome.FAILED, Outcome.SUCCEEDED],
            ("items_failed", "1 of 2 deliveries failed: token", True, ["i0"]),
        ),
    ],
)
def test_an_error_says_what_failed(
    word: str, message: str | None, outcomes: list[Outcome], expected: tuple[Any, ...] | None
) -> None:
    """Failed items are named; the provider's own reason is kept."""
    parts = [part(f"i{number}", outcome) for number, outcome in enumerate(outcomes)]
    outcome = {"failed": Outcome.FAILED, "broken": Outcome.FAILED, "partial": Outcome.PARTIAL}.get(
        word, Outcome.SUCCEEDED
    )
    error = build_error(word, message, outcome=outcome, parts=parts)
    assert (None if error is None else tuple(error.values())) == expected


@pytest.mark.parametrize(
    ("word", "unauthorized", "code"),
    [
        ("not_found", False, "not_found"),
        ("deleted", False, "deleted"),
        ("timed_out", False, "watch_timeout"),
        ("timed_out", True, "unauthorized"),
        ("unauthorized", False, "unauthorized"),
    ],
)
def test_an_error_of_the_watch_is_not_the_jobs_failure(word: str, *, unauthorized: bool, code: str) -> None:
    """Codes are the contract's, and nothing here is worth starting again."""
    error = build_error(word, None, unauthorized=unauthorized)
    assert error is not None
    assert error["code"] == code
    assert code in ERROR_CODES
    assert error["retryable"] is False
    assert error["message"]


def test_a_summary_counts_what_ended() -> None:
    """Parts that still run are in the total alone, and a job without parts has no summary."""
    parts = [part("a", Outcome.SUCCEEDED), part("b", Outcome.FAILED), part("c", None)]
    assert build_summary(parts) == {"total": 3, "completed": 1, "failed": 1}
    assert build_summary([]) is None
