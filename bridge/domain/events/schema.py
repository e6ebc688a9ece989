"""JSON Schema (2020-12) of each event type's `full` payload, for the catalogue and for OpenAPI's `webhooks`.

The frame around `data` is promised exactly. `data` is the provider's object: its documented fields are described,
any of them may be absent or null, and others may come.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.domain.events.catalogue import Catalogue, EventType
from bridge.domain.events.fields import Field
from bridge.domain.observation import Outcome

ERROR_CODES = ("upstream_failed", "items_failed", "not_found", "deleted", "watch_timeout", "unauthorized")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MOMENT = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_METADATA = {"type": ["object", "string", "null"]}
_SOMETIMES = ("callback_id", "endpoint_id", "callbacks", "resend", "data_source", "truncated")


def event_schema(catalogue: Catalogue, type_: str) -> dict[str, Any]:
    """Return the schema of one event type's body; KeyError for a type that is not in the catalogue."""
    known = catalogue.types[type_]
    frame = _frame(catalogue, known)
    optional = ("test",)
    return {
        "$schema": DIALECT,
        "title": known.type,
        "description": known.summary,
        "type": "object",
        "properties": frame,
        "required": [name for name in frame if name not in optional],
    }


def _frame(catalogue: Catalogue, known: EventType) -> dict[str, Any]:
    return {
        "id": _say("The same for every delivery and attempt of this event.", type="string", pattern="^evt_"),
        "type": {"const": known.type},
        "timestamp": _say("When the bridge learnt it.", **_MOMENT),
        "object": {"const": known.kind},
        "job_id": _say("The id of the object that the event tells of.", **_TEXT),
        "status": _say("The provider's own word, null where it has none.", type=["string", "null"]),
        "outcome": _outcome(known),
        "error": _error(known),
        "summary": _summary(),
        "related": _related(catalogue.related),
        "run": _say("Which of the job's lives this belongs to.", type="integer", minimum=1),
        "sequence": _say(
            "Counts the job's events; deliveries may come in another order.", type="integer", minimum=1
        ),
        "metadata": _say("Your own, as registered.", **_METADATA),
        "data": _data(catalogue.fields[known.kind]),
        "bridge": _bridge(),
        "test": _say("True in a sample that was asked for; else absent.", type="boolean"),
    }


def _say(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, **schema}


def _object(properties: Mapping[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _outcome(known: EventType) -> dict[str, Any]:
    if known.service:
        return {"enum": [*(each.value for each in Outcome), None]}
    return {"const": known.outcome.value if known.outcome else None}


def _error(known: EventType) -> dict[str, Any]:
    shape = _object(
        {
            "code": {"enum": list(ERROR_CODES)},
            "message": _say("For people; the provider's own reason where it gave one.", **_TEXT),
            "retryable": _say("Starting the same work again may help.", type="boolean"),
            "items": _say("The ids of what failed.", type="array", items=_TEXT),
        }
    )
    if known.service:
        return {"oneOf": [shape, {"type": "null"}]}
    quiet = known.outcome in (None, Outcome.SUCCEEDED, Outcome.SKIPPED) or known.word == "replaced"
    return {"type": "null"} if quiet and known.word != "unauthorized" else shape


def _summary() -> dict[str, Any]:
    counts = _object({"total": _COUNT, "completed": _COUNT, "failed": _COUNT})
    return _say("Counts of items or deliveries, null for a job without.", oneOf=[counts, {"type": "null"}])


def _related(names: Sequence[str]) -> dict[str, Any]:
    return _say(
        "The ids of what the object belongs to, as far as they are known.",
        type="object",
        properties=dict.fromkeys(names, _TEXT),
        additionalProperties=_TEXT,
    )


def _bridge() -> dict[str, Any]:
    properties = {
        "schema": {"type": "integer", "minimum": 1},
        "callback_id": _say("The callback that this delivery is for; else absent.", **_TEXT),
        "endpoint_id": _say("The endpoint that this delivery is for; else absent.", **_TEXT),
        "callbacks": _say(
            "In a delivery to an endpoint: the callbacks that the job had when the event was made.",
            type="array",
            items=_object({"id": _TEXT, "metadata": _METADATA}),
        ),
        "resend": _say("True when a person asked for it again; else absent.", type="boolean"),
        "observed_at": _say("When the read was made that showed it.", **_MOMENT),
        "polls": _say("How often the job had been read.", **_COUNT),
        "detection_lag_max_ms": _say(
            "The most that can lie between the fact and `observed_at`, counted from the registration at the"
            " earliest; null where it is not known.",
            type=["integer", "null"],
            minimum=0,
        ),
        "late": _say("It came after this run's `.timed_out`.", type="boolean"),
        "data_source": _say(
            '"list" when `data` is a list\'s row, which may show less than the job\'s own read, "last_seen" when the '
            "object is gone and `data` is what it was before; else absent.",
            **_TEXT,
        ),
        "truncated": _say(
            "`data` was over 256 KB and is cut to its status fields; else absent.", type="boolean"
        ),
    }
    return _say("What a native webhook would not have.", **_object(properties, optional=_SOMETIMES))


def _data(fields: Sequence[Field]) -> dict[str, Any]:
    properties = {field.name: _field(field) for field in fields}
    properties["id"] = {**properties["id"], "type": "string"}
    return _say(
        "The object as the provider gave it, unwrapped, its id guaranteed.",
        type="object",
        properties=properties,
        required=["id"],
    )


def _field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [field.shape.value, "null"]}
    if field.format:
        schema["format"] = field.format
    if field.parts:
        schema["items"] = {"type": "object", "properties": {part.name: _field(part) for part in field.parts}}
    return _say(field.note, **schema) if field.note else schema
