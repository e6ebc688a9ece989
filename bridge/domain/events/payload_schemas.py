"""JSON Schema (2020-12) of each event type's body in the forms other than `full`."""

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.domain.events.catalogue import Catalogue, EventType
from bridge.domain.events.fields import Field
from bridge.domain.events.flat import FlatField, flatten, name_fields
from bridge.domain.events.payloads import CLOUDEVENTS_FIELDS, LINKS, PAYLOADS, THIN_FIELDS
from bridge.domain.events.schema import DIALECT, event_schema
from bridge.domain.observation import Outcome

_TYPES = {str: "string", bool: "boolean", int: "integer"}
_FLAT_NOTES = {
    "outcome": "Empty on progress and notices.",
    "error_items": "The ids of what failed, as JSON text.",
    "related_other": "Further ids, as JSON text.",
    "metadata": "Your own; an object comes as JSON text, and each of its keys as a field beside it.",
    "output_urls": "The files that were made, one a line.",
    "output_errors": "The reasons of what failed, one a line.",
    "data_other": "What the provider's object holds besides its documented fields, as JSON text.",
    "bridge_callback_id": "Empty in a delivery to an endpoint.",
    "bridge_endpoint_id": "Empty in a delivery to a callback.",
    "bridge_callbacks": "The job's callbacks, in a delivery to an endpoint, as JSON text.",
    "bridge_detection_lag_max_ms": "0 where it is not known.",
    "link_callback": "Empty in a delivery to an endpoint.",
    "link_download": "Empty where there is no file.",
}


def payload_schemas(catalogue: Catalogue, type_: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of one event type's body by form; KeyError for a type that is not in the catalogue."""
    return {payload: payload_schema(catalogue, type_, payload) for payload in PAYLOADS}


def payload_schema(catalogue: Catalogue, type_: str, payload: str) -> dict[str, Any]:
    """Return the schema of one event type's body in one form; KeyError if there is no such type."""
    full = event_schema(catalogue, type_)
    properties = _describe_fields(catalogue, catalogue.types[type_], full, payload)
    return {
        "$schema": DIALECT,
        "title": type_,
        "description": full["description"],
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != "test" or payload == "flat"],
        **({"patternProperties": {"^metadata_": _METADATA}} if payload == "flat" else {}),
    }


def common_flat_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the schema of what the flat bodies of all events have in common, whatever their kind."""
    every = [payload_schema(catalogue, type_, "flat") for type_ in catalogue.types]
    first, *others = (each["properties"] for each in every)
    shared = {name: first[name] for name in first if all(name in each for each in others)}
    plain = {
        name: {key: each[key] for key in ("type", "description") if key in each}
        for name, each in shared.items()
    }
    own = {name: {"type": "string"} for name in ("type", "object")}
    return {
        "title": "Event",
        "description": "An event in its flat form.",
        "type": "object",
        "properties": {**plain, **own},
        "required": list(shared),
    }


def _describe_fields(
    catalogue: Catalogue, known: EventType, full: dict[str, Any], payload: str
) -> dict[str, Any]:
    match payload:
        case "full":
            return dict(full["properties"])
        case "thin":
            return _thin(full["properties"])
        case "flat":
            return _flat(catalogue, known, full["properties"])
        case _:
            return _cloudevents(full)


_METADATA = {"type": ["string", "number", "boolean"]}


def _thin(full: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    links = {"type": "object", "properties": dict.fromkeys(LINKS, text), "required": list(LINKS)}
    return {
        **{name: full[name] for name in THIN_FIELDS},
        "metadata": full["metadata"],
        "links": {"description": "Where the rest can be read; empty where there is nothing.", **links},
        "bridge": full["bridge"],
        "test": full["test"],
    }


def _cloudevents(full: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    of_event = {"id": "id", "type": "type", "subject": "job_id", "time": "timestamp"}
    properties = {
        "specversion": {"const": "1.0"},
        "source": {"type": "string", "format": "uri"},
        "datacontenttype": {"const": "application/json"},
        "data": {name: value for name, value in full.items() if name != "$schema"},
        **{name: full["properties"].get(own, text) for name, own in of_event.items()},
    }
    return {name: properties[name] for name in CLOUDEVENTS_FIELDS}


def _flat(catalogue: Catalogue, known: EventType, full: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of each field of the form, with the type that it has in an event about nothing."""
    notes = _FLAT_NOTES | dict(_list_notes(name_fields(catalogue, known.kind)))
    properties = {
        name: _describe(value, notes.get(name, ""))
        for name, value in flatten(catalogue, _nothing(known), links=dict.fromkeys(LINKS, "")).items()
    }
    properties["type"] = full["type"]
    properties["object"] = full["object"]
    outcomes = [each.value for each in Outcome]
    properties["outcome"]["enum"] = [known.outcome or ""] if not known.service else ["", *outcomes]
    return properties


def _describe(value: Any, note: str) -> dict[str, Any]:
    return {"type": _TYPES[type(value)], **({"description": note} if note else {})}


def _list_notes(fields: Sequence[FlatField]) -> Iterator[tuple[str, str]]:
    for each in fields:
        yield each.flat, _note(each.field)
        for part in (*each.parts, *(part for entry in each.entries for part in entry)):
            yield part.flat, _note(part.field)


def _note(field: Field) -> str:
    return field.note or ("As JSON text." if field.shape in ("array", "object") else "")


def _nothing(known: EventType) -> dict[str, Any]:
    """Return an event of which nothing is known but its type."""
    texts = dict.fromkeys(("id", "timestamp", "job_id"), "")
    frame = {"type": known.type, "object": known.kind, "run": 1, "sequence": 1, "related": {}, "data": {}}
    bridge = {"schema": 1, "callback_id": "", "observed_at": "", "polls": 0, "detection_lag_max_ms": 0}
    nothing = dict.fromkeys(("status", "outcome", "error", "summary", "metadata"))
    return {**texts, **frame, **nothing, "bridge": {**bridge, "late": False}}
