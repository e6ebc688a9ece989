"""The closing events of jobs that are waited for together, with their samples."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.domain.events.catalogue import KindEvents, ObjectEvent
from bridge.domain.events.fields import Field, Role, Shape
from bridge.domain.observation import Outcome

GROUP_ENDED: Final = "job_group.ended"
CHAIN_ENDED: Final = "chain.ended"
_EVENT: Final = "evt_aq2wk7n4xr6tz3bmeh5dcyuvla"
_JOB_FIELDS: Final = (
    Field(name="kind", note="The job's kind.", role=Role.NAME),
    Field(name="id", note="The job's id at the provider.", role=Role.NAME),
    Field(name="job_id", note="The same, under the name that it has in the job's own events."),
    Field(name="event_id", note="The job's own last event, empty where there is none."),
    Field(name="type", note="That event's type."),
    Field(name="status", note="The provider's own word.", role=Role.NAME),
    Field(name="outcome", note="As in the job's own event.", role=Role.NAME),
    Field(
        name="error",
        shape=Shape.OBJECT,
        note="As in the job's own event; shortened or null where all together are too large.",
        role=Role.ERROR,
    ),
    Field(name="summary", shape=Shape.OBJECT, note="As in the job's own event."),
    Field(name="related", shape=Shape.OBJECT, note="As in the job's own event."),
    Field(name="run", shape=Shape.NUMBER, note="Which of the job's lives ended."),
    Field(
        name="data",
        shape=Shape.OBJECT,
        note="The provider's object, as in the job's own event; its id alone where all together are too large.",
    ),
)
_GROUP_FIELDS: Final = (
    Field(name="id", note="The group's id.", role=Role.NAME),
    Field(name="status", note="Always `ended`.", role=Role.NAME),
    Field(name="total", shape=Shape.NUMBER, note="How many jobs were waited for."),
    Field(
        name="jobs",
        shape=Shape.LIST,
        note="Every job, in the order of the registration.",
        part="job",
        parts=_JOB_FIELDS,
    ),
)


_NODE_FIELDS: Final = (
    *_JOB_FIELDS[:-1],
    Field(
        name="parent", shape=Shape.OBJECT, note="Kind and id of the job that it came of, null for the first."
    ),
    Field(
        name="link",
        note="`known`; `inferred` where nothing names what it came of; `unknown` where its id is not to be had.",
    ),
    Field(name="review", note="The result of its review, null without one."),
    _JOB_FIELDS[-1],
)
_CHAIN_FIELDS: Final = (
    Field(name="id", note="The chain's id.", role=Role.NAME),
    Field(name="status", note="Always `ended`.", role=Role.NAME),
    Field(name="root", shape=Shape.OBJECT, note="Kind and id of the job that was registered."),
    Field(name="total", shape=Shape.NUMBER, note="How many jobs and deliveries there are."),
    Field(
        name="jobs",
        shape=Shape.LIST,
        note="The job, and all that came of it.",
        part="job",
        parts=_NODE_FIELDS,
    ),
)


def build_chain_ended(shown: KindEvents) -> ObjectEvent:
    """Return the event that closes a chain; its sample is a job of a kind of which nothing came in time."""
    row = {**_show(shown, "completed", 1), "parent": None, "link": "known", "review": None}
    return ObjectEvent(
        type=CHAIN_ENDED,
        summary="A job that was registered with `follow` and all that came of it have ended, or their time is over.",
        fields=_CHAIN_FIELDS,
        data={
            "id": "chn_mz3kq7c2xw5ta4rn",
            "status": "ended",
            "root": {"kind": row["kind"], "id": row["id"]},
            "total": 1,
            "jobs": [row],
        },
        related=row["related"],
        outcome=Outcome.UNKNOWN,
        error={
            "code": "watch_timeout",
            "message": "no ending was seen in time of 1 of 1 job, which may still come",
            "retryable": False,
            "items": [row["id"]],
        },
        counts={"total": 1, "completed": 1, "failed": 0},
    )


def build_group_ended(shown: KindEvents) -> ObjectEvent:
    """Return the event that closes a group; its sample has two jobs of a kind, of which one failed."""
    good, bad = (_show(shown, word, number) for number, word in enumerate(("completed", "failed"), 1))
    bad["error"] = {
        "code": "upstream_failed",
        "message": shown.sample.messages.get("failed", "the provider reports a failure, without a reason"),
        "retryable": True,
        "items": [],
    }
    return ObjectEvent(
        type=GROUP_ENDED,
        summary="All jobs of a registration with `wait_for: all` have ended or timed out.",
        fields=_GROUP_FIELDS,
        data={"id": "grp_mz3kq7c2xw5ta4rn", "status": "ended", "total": 2, "jobs": [good, bad]},
        outcome=Outcome.PARTIAL,
        error={
            "code": "items_failed",
            "message": "1 of 2 jobs failed",
            "retryable": True,
            "items": [bad["id"]],
        },
        counts={"total": 2, "completed": 1, "failed": 1},
    )


def _show(shown: KindEvents, word: str, number: int) -> dict[str, Any]:
    identifier = f"{shown.sample.id[:-1]}{number}"
    data: Mapping[str, Any] = {**shown.sample.build(word), "id": identifier}
    return {
        "kind": shown.kind,
        "id": identifier,
        "job_id": identifier,
        "event_id": f"{_EVENT[:-1]}{'ab'[number - 1]}",
        "type": f"{shown.kind}.{word}",
        "status": data[shown.status_field],
        "outcome": str(shown.endings[word][0]),
        "error": None,
        "summary": None,
        "related": dict(shown.sample.related),
        "run": 1,
        "data": data,
    }
