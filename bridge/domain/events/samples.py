"""Samples of all event types, as a receiver gets them.

They are for the catalogue, for tests of a URL, and for tools that learn an event's shape from one. The same type always
has the same samples.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bridge.domain.events.catalogue import Catalogue, EventType, KindEvents, ObjectEvent
from bridge.domain.events.event import Fact, build_error, build_event, build_summary
from bridge.domain.events.example import EXAMPLE, fill, fill_object
from bridge.domain.events.payloads import build_body
from bridge.domain.ids import event_id
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Ending, Outcome, Part

AT_MS = 1_795_257_250_123  # 2026-11-21T10:34:10.123Z
METADATA = {"order": "42"}

_ERROR = {"code": "upstream_failed", "message": EXAMPLE, "retryable": True}
_SUMMARY = {"total": 2, "completed": 1, "failed": 1}
_LAG_MS = 10_000
_CALLBACK = "cb_aq2wk7n4xr6tz3bmeh5dcyuvl"
_CALLBACKS = to_js_json([{"id": _CALLBACK, "metadata": METADATA}])  # of the job, as an endpoint hears
# What the object showed last, None for a job that still ran, before an event whose word is not its provider's.
_SEEN_AS: Mapping[str, str | None] = {"timed_out": None, "deleted": None, "replaced": "failed"}
_NO_OBJECT = frozenset({"not_found", "unauthorized"})


def samples(
    catalogue: Catalogue, type_: str, *, payload: str = "full", base_url: str = "http://127.0.0.1:8080"
) -> list[dict[str, Any]]:
    """Return the samples of one event type, each with its `id`; KeyError for a type that is not in the catalogue."""
    fact = sample_fact(catalogue, type_)
    body = _body(
        catalogue, fact, event=_sample_event_id(type_), at_ms=AT_MS, payload=payload, base_url=base_url
    )
    sample: dict[str, Any] = json.loads(body)
    return [sample]


def test_body(
    catalogue: Catalogue,
    *,
    event_id: str,
    at_ms: int,
    payload: str,
    base_url: str,
    type_: str = "webhook.test",  # noqa: PT028 -- this is no test
    subscription_id: str = _CALLBACK,  # noqa: PT028 -- likewise
    metadata: Any = METADATA,  # noqa: PT028 -- likewise
) -> bytes:
    """Return the body of a test delivery: an event with `"test": true` for an `evt_test_…` id; KeyError for an unknown type.

    Every field is filled, also one that such an event leaves empty (the error of a success): a flow that is learning
    takes all of a kind's events, and is to find every field that it may want.
    """
    known = catalogue.types[type_]
    body = _body(
        catalogue,
        _fill_fact(catalogue, known, sample_fact(catalogue, type_)),
        event=event_id,
        at_ms=at_ms,
        payload=payload,
        base_url=base_url,
        test=True,
        subscription_id=subscription_id,
        metadata=metadata,
    )
    return to_js_json(fill(json.loads(body)))


def _fill_fact(catalogue: Catalogue, known: EventType, fact: Fact) -> Fact:
    data = dict(fact.data)
    if not known.service and known.word in _NO_OBJECT:
        sample = catalogue.kinds[known.kind].sample
        data = sample.build(sample.running)
    related = catalogue.related if known.service else catalogue.kinds[known.kind].related
    return replace(
        fact,
        status=fact.status or EXAMPLE,
        outcome=fact.outcome or Outcome.UNKNOWN,
        error={**_ERROR, **(fact.error or {}), "items": (fact.error or {}).get("items") or [EXAMPLE]},
        summary=fact.summary or _SUMMARY,
        related={**dict.fromkeys(related, EXAMPLE), **fact.related},
        data=fill_object(catalogue.fields[known.kind], data),
    )


def _body(
    catalogue: Catalogue,
    fact: Fact,
    *,
    event: str,
    at_ms: int,
    payload: str,
    base_url: str,
    test: bool = False,
    subscription_id: str = _CALLBACK,
    metadata: Any = METADATA,
) -> bytes:
    stored = build_event(
        catalogue,
        fact,
        event_id=event,
        at_ms=at_ms,
        sequence=2,
        polls=7,
        lag_max_ms=_LAG_MS,
    )
    return build_body(
        catalogue,
        stored,
        payload=payload,
        subscription_id=subscription_id,
        metadata=metadata,
        callbacks=_CALLBACKS,
        test=test,
        base_url=base_url,
    )


def _sample_event_id(type_: str) -> str:
    return event_id(project="sample", key="a" * 17, born_ms=AT_MS, run=1, fact=type_)


def sample_fact(catalogue: Catalogue, type_: str) -> Fact:
    """Return the fact that a type's sample is made of, of run 1; KeyError for a type that is not in the catalogue."""
    known = catalogue.types[type_]
    if known.service:
        return _object_fact(catalogue, catalogue.objects[known.type], known)
    return _job_fact(catalogue, catalogue.kinds[known.kind], known)


def _job_fact(catalogue: Catalogue, events: KindEvents, known: EventType) -> Fact:
    sample = events.sample
    state = _SEEN_AS.get(known.word, known.word) or sample.running
    data: dict[str, Any] = {"id": sample.id} if known.word in _NO_OBJECT else sample.build(state)
    parts = _parts(catalogue, events.part, data.get(events.parts_field, ()))
    return Fact(
        word=known.word,
        kind=known.kind,
        job_id=sample.id,
        status=_status(events, known.word, data),
        outcome=known.outcome,
        error=build_error(known.word, sample.messages.get(known.word), outcome=known.outcome, parts=parts),
        summary=build_summary(parts),
        related=sample.related,
        data=data,
        run=1,
        late=False,
    )


def _object_fact(catalogue: Catalogue, event: ObjectEvent, known: EventType) -> Fact:
    parts = _parts(catalogue, event.part, event.data.get(event.parts_field, ()))
    return Fact(
        word=known.word,
        kind=known.kind,
        job_id=event.data["id"],
        status=str(event.data.get("status") or ""),
        outcome=event.outcome,
        error=dict(event.error)
        if event.error
        else build_error(known.word, None, outcome=event.outcome, parts=parts),
        summary=dict(event.counts) if event.counts else build_summary(parts),
        related=event.related,
        data=event.data,
        run=1,
        late=False,
    )


def _status(events: KindEvents, word: str, data: Mapping[str, Any]) -> str:
    """Return the provider's last word, empty where it never showed the job."""
    if word in ("deleted", "unauthorized"):
        return events.sample.running
    if word == "replaced":
        return "failed"
    return str(data.get(events.status_field) or "")


def _parts(catalogue: Catalogue, kind: str, listed: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Return the parts of a sample as they were read, for its summary and error."""
    endings = catalogue.kinds[kind].endings if kind else {}
    return tuple(
        Part(id=each["id"], status=each["status"], ending=_end(endings, each), data=each) for each in listed
    )


def _end(endings: Mapping[str, tuple[Outcome, str]], part: Mapping[str, Any]) -> Ending | None:
    word = part["status"]
    if word not in endings:
        return None
    return Ending(word=word, outcome=endings[word][0], message=part.get("error_message"))
