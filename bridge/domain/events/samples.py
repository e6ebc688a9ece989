"""Samples of every event type, as a receiver would get them: for the catalogue, for tests of a URL, for tools that
learn an event's shape from one. Pure: the same type always has the same samples.
"""

import json
from collections.abc import Mapping
from typing import Any

from bridge.domain.events.catalogue import EVENT_TYPES, EventType
from bridge.domain.events.event import Fact, build_error, build_event, build_summary
from bridge.domain.events.payloads import build_body
from bridge.domain.events.sample_data import (
    AT_MS,
    METADATA,
    sample_data,
    sample_id,
    sample_parts,
    sample_related,
    sample_status,
)
from bridge.domain.ids import event_id
from bridge.domain.observation import Outcome

_LAG_MS = 10_000
_CALLBACK = "cb_aq2wk7n4xr6tz3bmeh5dcyuvl"
_MESSAGES: Mapping[str, str] = {
    "sync_job.failed": "the source account is private",
    "generated_media_item.failed": "the source video could not be read",
    "voice_conversion.failed": "the voice sample is too short",
    "publishing_delivery.failed": "the platform's token has expired",
    "outgoing_post.partial": "1 of 2 deliveries failed: the platform's token has expired",
    "outgoing_post.failed": "2 of 2 deliveries failed: the platform's token has expired",
    "reelbot_video.failed": "the b-roll could not be downloaded",
}


def samples(
    type_: str, *, payload: str = "full", base_url: str = "http://127.0.0.1:8080"
) -> list[dict[str, Any]]:
    """Give the samples of one event type, each with its `id`; KeyError for a type that is not in the catalogue."""
    body = _body(
        EVENT_TYPES[type_], event=_sample_event_id(type_), at_ms=AT_MS, payload=payload, base_url=base_url
    )
    sample: dict[str, Any] = json.loads(body)
    return [sample]


def test_body(*, event_id: str, at_ms: int, payload: str, base_url: str) -> bytes:
    """Write the body of a test delivery: `webhook.test` with `"test": true`, every field filled, for an `evt_test_…` id."""
    known = EVENT_TYPES["webhook.test"]
    return _body(known, event=event_id, at_ms=at_ms, payload=payload, base_url=base_url, test=True)


def _body(
    known: EventType, *, event: str, at_ms: int, payload: str, base_url: str, test: bool = False
) -> bytes:
    stored = build_event(
        _fact(known), event_id=event, at_ms=at_ms, sequence=2, observed_ms=at_ms, polls=7, lag_max_ms=_LAG_MS
    )
    return build_body(
        stored, payload=payload, callback_id=_CALLBACK, metadata=METADATA, test=test, base_url=base_url
    )


def _sample_event_id(type_: str) -> str:
    return event_id(project="sample", key="a" * 17, born_ms=AT_MS, run=1, fact=type_)


def _fact(known: EventType) -> Fact:
    outcome = _outcome(known)
    parts = sample_parts(known)
    # Service events have words of their own; what their outcome says decides.
    word = "partial" if outcome is Outcome.PARTIAL else known.word
    return Fact(
        word=known.word,
        kind=known.kind,
        job_id=sample_id(known.kind),
        status=sample_status(known),
        outcome=outcome,
        error=build_error(word, _MESSAGES.get(known.type), parts=parts),
        summary=build_summary(parts),
        related=sample_related(known),
        data=sample_data(known),
        run=1,
        late=False,
    )


def _outcome(known: EventType) -> Outcome | None:
    # A partial `webhook.test` fills every field: a tool that sees nothing else learns them all.
    return Outcome.PARTIAL if known.type == "webhook.test" else known.outcome
