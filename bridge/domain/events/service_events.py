"""The bridge's own events, about no watched job, with their samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.domain.events.catalogue import KindEvents, ObjectEvent
from bridge.domain.events.example import fill_object
from bridge.domain.events.fields import Field, Role, Shape
from bridge.domain.events.group_events import build_chain_ended, build_group_ended
from bridge.domain.observation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Showcase:
    """A kind of job with parts whose sample the samples of the bridge's own events show.

    The job ended with `word`, and `related` is what a test event claims to be related to.
    """

    job: KindEvents
    word: str
    related: Mapping[str, str]


_NAME = Role.NAME
DELIVERY_FIELDS: Final = (
    Field(name="id", note="The delivery's id.", role=_NAME),
    Field(name="status", note="Always `parked`.", role=_NAME),
    Field(name="event_id", note="The event that was not received."),
    Field(name="event_type", note="That event's type."),
    Field(name="subscription_id", note="The callback or endpoint that it was for."),
    Field(name="attempts", shape=Shape.NUMBER, note="How many attempts were made."),
    Field(name="reason", note="Why it was given up.", role=Role.ERROR),
)
ENDPOINT_FIELDS: Final = (
    Field(name="id", note="The endpoint's id.", role=_NAME),
    Field(name="status", note="`failing` or `disabled`.", role=_NAME),
    Field(name="url", note="Its URL without query values."),
    Field(name="reason", note="What is wrong.", role=Role.ERROR),
    Field(name="failing_since", note="When the first attempt failed since the last 2xx.", format="date-time"),
    Field(name="disabled_at", note="When it was disabled, or will be at the earliest.", format="date-time"),
)
_ENDPOINT_SAMPLE: Final[Mapping[str, Any]] = {
    "id": "ep_mz3kq7c2xw5ta4rn",
    "status": "failing",
    "url": "https://example.com/hook",
    "reason": "no event was answered with 2xx for 4 days",
    "failing_since": "2026-11-17T10:34:10.123Z",
    "disabled_at": "2026-11-22T10:34:10.123Z",
}


def build_service_events(showcase: Showcase) -> tuple[ObjectEvent, ...]:
    """Return the bridge's own events."""
    return (
        build_group_ended(showcase.job),
        build_chain_ended(showcase.job),
        _build_test(showcase),
        _build_parked(showcase),
        *_build_endpoint_events(),
    )


def _build_test(showcase: Showcase) -> ObjectEvent:
    """Return the test event.

    It shows a partial ending, which fills every field: a tool that sees nothing else learns them all.
    """
    return ObjectEvent(
        type="webhook.test",
        summary="A sample, sent because somebody asked for it; it tells of no real job.",
        fields=(Field(name="message", note="Says that this is a sample."), *showcase.job.fields),
        data={
            "message": "This is a sample: it tells of no real job.",
            **fill_object(showcase.job.fields, showcase.job.sample.build(showcase.word)),
        },
        related=showcase.related,
        outcome=Outcome.PARTIAL,
        parts_field=showcase.job.parts_field,
        part=showcase.job.part,
    )


def _build_parked(showcase: Showcase) -> ObjectEvent:
    return ObjectEvent(
        type="delivery.parked",
        summary="All attempts of a delivery are used up; it is kept, and recover, retry or PATCH sends it again.",
        fields=DELIVERY_FIELDS,
        data={
            "id": "dlv_aq2wk7n4xr6tz3bmeh5dcyuvla",
            "status": "parked",
            "event_id": "evt_aq2wk7n4xr6tz3bmeh5dcyuvla",
            "event_type": f"{showcase.job.kind}.{showcase.word}",
            "subscription_id": "ep_mz3kq7c2xw5ta4rn",
            "attempts": 12,
            "reason": "gave up after 12 attempts: The receiver answered 500.",
        },
    )


def _build_endpoint_events() -> tuple[ObjectEvent, ObjectEvent]:
    return (
        ObjectEvent(
            type="endpoint.failing",
            summary="An endpoint has not answered 2xx for four days: it is disabled in a day unless it does.",
            fields=ENDPOINT_FIELDS,
            data=_ENDPOINT_SAMPLE,
        ),
        ObjectEvent(
            type="endpoint.disabled",
            summary="An endpoint was disabled, after days without a 2xx or by a 410; its events are kept until it is enabled.",
            fields=ENDPOINT_FIELDS,
            data={
                **_ENDPOINT_SAMPLE,
                "status": "disabled",
                "reason": "no event was answered with 2xx for 5 days",
            },
        ),
    )
