"""A delivery's body in its four payload forms."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.events.event import Fact, build_event
from bridge.domain.events.payloads import PAYLOADS, build_body
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Outcome
from bridge.providers.registry import CATALOGUE

BASE = "https://bridge.example"


def store(
    data: dict[str, Any], *, kind: str = "generated_post", word: str = "completed", **fields: Any
) -> bytes:
    """A stored event about an object."""
    fact = {
        "word": word,
        "kind": kind,
        "job_id": "a1",
        "status": "completed",
        "outcome": Outcome.SUCCEEDED,
        "error": None,
        "summary": None,
        "related": {},
        "data": data,
        "run": 1,
        "late": False,
    }
    return build_event(
        CATALOGUE,
        Fact(**{**fact, **fields}),
        event_id="evt_x",
        at_ms=1_795_257_250_123,
        sequence=5,
        polls=7,
        lag_max_ms=10_000,
    )


def send(event: bytes, *, payload: str = "full", metadata: Any = None, **marks: Any) -> dict[str, Any]:
    """The body as a receiver reads it."""
    body = build_body(
        CATALOGUE, event, payload=payload, subscription_id="cb_1", metadata=metadata, base_url=BASE, **marks
    )
    read: dict[str, Any] = json.loads(body)
    return read


def test_full_is_the_contracts_example() -> None:
    """Same fields, same order, metadata and callback added to what is stored."""
    event = store({"id": "a1", "status": "completed"}, related={"persona_id": "p1"})
    body = send(event, metadata={"order": "42"})
    assert body == {
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
        "run": 1,
        "sequence": 5,
        "metadata": {"order": "42"},
        "data": {"id": "a1", "status": "completed"},
        "bridge": {
            "schema": 1,
            "callback_id": "cb_1",
            "observed_at": "2026-11-21T10:34:10.123Z",
            "polls": 7,
            "detection_lag_max_ms": 10_000,
            "late": False,
        },
    }
    assert list(body) == [
        *("id", "type", "timestamp", "object", "job_id", "status", "outcome", "error"),
        *("summary", "related", "run", "sequence", "metadata", "data", "bridge"),
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("text", ["plain", "lone \ud800", '"late":false'])
def test_an_ending_is_late_for_one_subscription(text: str, payload: str) -> None:
    """The stored event is everybody's: who heard `.timed_out` before is told so, and nothing else changes."""
    event = store({"id": "a1", "text": text})
    in_time, late = (send(event, payload=payload, late=each) for each in (False, True))
    if payload == "flat":
        assert late == in_time | {"bridge_late": True}
    else:
        changed = late["data"]["bridge"] if payload == "cloudevents" else late["bridge"]
        assert changed.pop("late") is True
        (in_time["data"]["bridge"] if payload == "cloudevents" else in_time["bridge"]).pop("late")
        assert late == in_time


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "data",
    [
        {"id": "a1", "n": 12.0, "tiny": 1e-7, "huge": 2**70, "minus": -0.0},
        {"id": "a1", "10": "ten", "2": "two"},  # JavaScript sorts such names
        {"id": "a1", "text": 'NUL \x00, "quotes" \\, é😀, \u2028, lone \ud800 and \udc00'},
        {"id": "a1", "\ud83d": {"deep": [[], {}, None]}},
    ],
    ids=["numbers", "indexes", "text", "names"],
)
def test_writing_a_body_again_gives_the_same_bytes(data: dict[str, Any], payload: str) -> None:
    """A receiver that parses and stringifies, as n8n does, checks the signature over the same bytes."""
    body = build_body(
        CATALOGUE,
        store(data),
        payload=payload,
        subscription_id="cb_1",
        metadata={"n": 1.0, "s": "\ud800"},
        base_url=BASE,
    )
    assert to_js_json(json.loads(body)) == body


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no failure
@given(data=st.dictionaries(st.text(max_size=8), _JSON, max_size=5), metadata=_JSON)
def test_any_object_passes_through_every_form(data: dict[str, Any], metadata: Any) -> None:
    """Nothing that JSON can hold breaks a body, and `data` arrives as JavaScript would have passed it on."""
    event = store({**data, "id": "a1"})
    for payload in PAYLOADS:
        body = build_body(
            CATALOGUE, event, payload=payload, subscription_id="cb_1", metadata=metadata, base_url=BASE
        )
        assert to_js_json(json.loads(body)) == body
    body = build_body(
        CATALOGUE, event, payload="full", subscription_id="cb_1", metadata=metadata, base_url=BASE
    )
    assert to_js_json({**data, "id": "a1"}) in body


MARKS = st.sampled_from(['"data":', ',"data":{', ',"bridge":{', '"bridge"', "data", "bridge", "}", '"'])


@given(
    data=st.dictionaries(MARKS, MARKS | st.dictionaries(MARKS, MARKS, max_size=2), max_size=3),
    texts=st.lists(MARKS, min_size=3, max_size=3),
    resend=st.booleans(),
)
def test_a_full_body_is_put_together_right_whatever_it_holds(
    data: dict[str, Any],
    texts: list[str],
    resend: bool,  # noqa: FBT001 -- a case
) -> None:
    """Names and texts that look like the marks between the parts of a stored event."""
    status, job_id, persona = texts
    event = store(data, status=status, job_id=job_id, related={"persona_id": persona})
    body = send(event, metadata=data, resend=resend)
    stored = json.loads(event)
    assert (body["data"], body["metadata"], body["status"]) == (stored["data"], data, status)
    assert (body["job_id"], body["related"]) == (job_id, {"persona_id": persona})
    marks = {"callback_id": "cb_1", **({"resend": True} if resend else {})}
    assert body["bridge"] == stored["bridge"] | marks


@pytest.mark.parametrize("metadata", [None, "order 42", {"order": {"deep": [1, 2]}}, "", {}])
def test_metadata_is_echoed_as_it_was_given(metadata: Any) -> None:
    """A string stays a string, an object an object, and none is null."""
    assert send(store({"id": "a1"}), metadata=metadata)["metadata"] == metadata


def test_resent_and_test_bodies_are_marked() -> None:
    """The marks are there when they are true, and only then."""
    event = store({"id": "a1"})
    marked = send(event, resend=True, test=True)
    plain = send(event)
    assert (marked["bridge"]["resend"], marked["test"]) == (True, True)
    assert "test" not in plain
    assert "resend" not in plain["bridge"]


def test_thin_has_links_instead_of_data() -> None:
    """Ids, status, outcome, and where to fetch the rest."""
    body = send(store({"id": "a1", "secretive": "x"}), payload="thin", metadata={"order": "42"})
    assert body["links"] == {
        "event": f"{BASE}/v1/events/evt_x",
        "job": f"{BASE}/v1/jobs/generated_post/a1",
        "callback": f"{BASE}/v1/callbacks/cb_1",
        "download": "",
    }
    assert {"data", "error", "summary"}.isdisjoint(body)
    assert (body["type"], body["outcome"], body["metadata"]) == (
        "generated_post.completed",
        "succeeded",
        {"order": "42"},
    )


@pytest.mark.parametrize(
    ("fields", "links"),
    [
        ({"kind": "reelbot_video"}, {"download": f"{BASE}/v1/jobs/reelbot_video/a1/download"}),
        ({"kind": "reelbot_video", "word": "failed"}, {"download": ""}),
        (
            {"kind": "publishing_delivery", "word": "published", "related": {"outgoing_post_id": "o1"}},
            {"job": f"{BASE}/v1/jobs/outgoing_post/o1"},
        ),
        ({"kind": "job_group", "word": "ended"}, {"job": ""}),
        ({"job_id": "a/../b?c#\ud800"}, {"job": f"{BASE}/v1/jobs/generated_post/a%2F..%2Fb%3Fc%23%ED%A0%80"}),
    ],
)
def test_links_lead_to_what_exists(fields: dict[str, Any], links: dict[str, str]) -> None:
    """A delivery is read in its outgoing post, a finished video has a download, and no id leaves its path."""
    body = send(store({"id": "a1"}, **fields), payload="thin")
    assert links.items() <= body["links"].items()


def test_a_test_body_links_to_nothing_that_is_not_stored() -> None:
    """The sample's event and callback do not exist."""
    links = send(store({"id": "a1"}), payload="thin", test=True)["links"]
    assert (links["event"], links["callback"]) == ("", "")


def test_cloudevents_wraps_the_full_body() -> None:
    """Required attributes of CloudEvents 1.0, and `data` that a parser for `full` reads unchanged."""
    event = store({"id": "a1", "n": 12.0})
    body = send(event, payload="cloudevents", metadata="m")
    assert body.pop("data") == send(event, metadata="m")
    assert body == {
        "specversion": "1.0",
        "id": "evt_x",
        "source": f"{BASE}/v1/jobs/generated_post",
        "type": "generated_post.completed",
        "subject": "a1",
        "time": "2026-11-21T10:34:10.123Z",
        "datacontenttype": "application/json",
    }


def test_an_unknown_form_is_refused() -> None:
    """The error names the forms."""
    with pytest.raises(ValueError, match="full, thin, flat, cloudevents"):
        send(store({"id": "a1"}), payload="xml")
