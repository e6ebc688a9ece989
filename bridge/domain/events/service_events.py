"""The bridge's own events, about no watched job, with their samples."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.events.catalogue import KindEvents, ObjectEvent
from bridge.domain.events.example import fill_object
from bridge.domain.events.fields import Field
from bridge.domain.observation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Showcase:
    """A kind of job with parts whose sample the samples of the bridge's own events show.

    The job ended with `word`, and `related` is what a test event claims to be related to.
    """

    job: KindEvents
    word: str
    related: Mapping[str, str]


def build_service_events(showcase: Showcase) -> tuple[ObjectEvent, ...]:
    """Return the bridge's own events.

    The test event shows a partial ending, which fills every field: a tool that sees nothing else learns them all.
    """
    return (
        ObjectEvent(
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
        ),
    )
