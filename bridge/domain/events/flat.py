"""The `flat` payload: one level and stable types, for tools that learn an event's shape from one sample.

All events of a kind have the same fields with the same types, but for those of the subscription's own metadata. A field
is "" or 0 or false where the event has nothing; no value is null, a list or an object. Of a list there are the number of
its entries, the first entry's fields, and for each of the first ten what it is, how it stands, its file and its error.
What is nested, and what the provider does not document, comes as JSON text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.domain.events.catalogue import Catalogue
from bridge.domain.events.fields import Field, Role, Shape
from bridge.domain.js_json import to_js_json

MOST_ENTRIES = 10  # a carousel has about as many; `output_urls` has the files of all

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_EMPTY: Mapping[Shape, Any] = {Shape.NUMBER: 0, Shape.FLAG: False, Shape.LIST: "[]", Shape.OBJECT: "{}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatField:
    """A documented field under its flat names, worked out once; `parts` are those of the first entry of a list.

    `entries` has the fields with a role for each of the first entries, under names such as `item_2_url`.
    """

    field: Field
    flat: str
    count: str
    parts: tuple["FlatField", ...]
    entries: tuple[tuple["FlatField", ...], ...]


def flatten(catalogue: Catalogue, event: Mapping[str, Any], *, links: Mapping[str, str]) -> dict[str, Any]:
    """Lay a full event out in one level: `error_code`, `data_url`, `item_1_url`, `metadata_order`."""
    error = event["error"] or {}
    summary = event["summary"] or {}
    related = event["related"]
    fields = name_fields(catalogue, event["object"])
    return {
        "id": event["id"],
        "type": event["type"],
        "timestamp": event["timestamp"],
        "object": event["object"],
        "job_id": event["job_id"],
        "status": event["status"] or "",
        "outcome": event["outcome"] or "",
        "error_code": error.get("code", ""),
        "error_message": error.get("message", ""),
        "error_retryable": error.get("retryable", False),
        "error_items": _as_text(error.get("items", [])),
        "summary_total": summary.get("total", 0),
        "summary_completed": summary.get("completed", 0),
        "summary_failed": summary.get("failed", 0),
        **{f"related_{name}": related.get(name, "") for name in catalogue.related},
        "related_other": _rest(related, catalogue.related),
        "run": event["run"],
        "sequence": event["sequence"],
        "metadata": _as_text(event["metadata"]),
        **_lay_out_metadata(event["metadata"]),
        "output_urls": _collect(fields, event["data"], Role.OUTPUT),
        "output_errors": _collect(fields, event["data"], Role.ERROR),
        **_lay_out(fields, event["data"]),
        "data_other": _rest(event["data"], [each.field.name for each in fields]),
        **{f"link_{name}": url for name, url in links.items()},
        **_lay_out_bridge(event["bridge"]),
        "test": event.get("test", False),
    }


@lru_cache(maxsize=256)
def name_fields(catalogue: Catalogue, kind: str) -> tuple[FlatField, ...]:
    """Return the documented fields of a kind's object under their flat names."""
    return tuple(_name("data", field) for field in catalogue.fields[kind])


def _lay_out_bridge(bridge: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bridge_schema": bridge["schema"],
        "bridge_callback_id": bridge.get("callback_id", ""),
        "bridge_endpoint_id": bridge.get("endpoint_id", ""),
        "bridge_callbacks": _as_text(bridge.get("callbacks", [])),
        "bridge_observed_at": bridge["observed_at"],
        "bridge_polls": bridge["polls"],
        "bridge_detection_lag_max_ms": bridge["detection_lag_max_ms"] or 0,
        "bridge_late": bridge["late"],
        "bridge_data_source": bridge.get("data_source", ""),
        "bridge_truncated": bridge.get("truncated", False),
        "bridge_resend": bridge.get("resend", False),
    }


def _lay_out(fields: Sequence[FlatField], source: Mapping[str, Any]) -> dict[str, Any]:
    """Return documented fields, each in its documented type whatever the object holds."""
    flat: dict[str, Any] = {}
    for each in fields:
        value = source.get(each.field.name)
        flat[each.flat] = _settle(each.field.shape, value)
        if not each.parts:
            continue
        listed = _list_entries(value)
        flat[each.count] = len(value) if isinstance(value, list) else 0
        flat |= _lay_out(each.parts, listed[0] if listed else {})
        for number, parts in enumerate(each.entries):
            flat |= _lay_out(parts, listed[number] if number < len(listed) else {})
    return flat


def _collect(fields: Sequence[FlatField], source: Mapping[str, Any], role: Role) -> str:
    """Return the values of all fields of a role, of the object and of the entries of its lists, one a line."""
    lines = [
        " ".join(_as_text(value).split())
        for each in fields
        for owner, field in _walk(each, source)
        if field.role is role and (value := owner.get(field.name))
    ]
    return "\n".join(dict.fromkeys(lines))


def _walk(named: FlatField, source: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Field]]:
    yield source, named.field
    if named.parts:
        for entry in _list_entries(source.get(named.field.name)):
            yield from ((entry, part.field) for part in named.parts)


def _list_entries(value: Any) -> list[Mapping[str, Any]]:
    """Return a list's entries; what is no object counts as an empty one, so that the others keep their numbers."""
    return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []


def _lay_out_metadata(metadata: Any) -> dict[str, Any]:
    """Return a field for each key of metadata that is an object.

    A key that is a fit name keeps it, whatever other keys become; those that become the same are told apart by a number.
    """
    if not isinstance(metadata, dict):
        return {}
    fit = {key for key in metadata if _snake(key) == key}
    flat = {f"metadata_{key}": _as_scalar(metadata[key]) for key in metadata if key in fit}
    numbers: dict[str, int] = {}
    for key, value in metadata.items():
        if key in fit:
            continue
        name = plain = f"metadata_{_snake(key)}"
        while name in flat:
            numbers[plain] = numbers.get(plain, 1) + 1
            name = f"{plain}_{numbers[plain]}"
        flat[name] = _as_scalar(value)
    return flat


def _rest(source: Mapping[str, Any], known: Sequence[str]) -> str:
    """Return what no table knows, as JSON text: a field of its own for each would be missing in other events."""
    return _as_text({name: value for name, value in source.items() if name not in known})


def _settle(shape: Shape, value: Any) -> Any:
    if shape is Shape.TEXT:
        return _as_text(value)
    if shape is Shape.FLAG:
        return value is True
    if shape is Shape.NUMBER:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return _EMPTY[shape] if value is None else _as_text(value)


def _as_scalar(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else _as_text(value)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_js_json(value).decode()


@lru_cache(maxsize=4096)
def _snake(name: str) -> str:
    return _OTHER.sub("_", _HUMP.sub("_", name).lower()).strip("_") or "field"


def _name(prefix: str, field: Field) -> FlatField:
    flat = f"{prefix}_{_snake(field.name)}"
    parts = tuple(_name(f"{prefix}_first_{field.part}", part) for part in field.parts)
    shown = [part for part in field.parts if part.role is not None]
    entries = tuple(
        tuple(_name(f"{field.part}_{number}", part) for part in shown)
        for number in range(1, MOST_ENTRIES + 1 if shown else 1)
    )
    return FlatField(field=field, flat=flat, count=f"{flat}_count", parts=parts, entries=entries)
