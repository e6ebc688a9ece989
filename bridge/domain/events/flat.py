"""The `flat` payload: one level and stable types, for tools that learn an event's shape from one sample.

Every known field is always there, with "" or 0 or false where the event has nothing; no value is null, a list or an
object. What is nested comes as JSON text, besides the first entry of each known list and the number of entries.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.domain.events.catalogue import Catalogue
from bridge.domain.events.fields import Field, Shape
from bridge.domain.js_json import to_js_json

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_EMPTY: Mapping[Shape, Any] = {Shape.NUMBER: 0, Shape.FLAG: False, Shape.LIST: "[]", Shape.OBJECT: "{}"}
_LINKS = ("event", "job", "callback", "download")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    """A documented field under its flat names, worked out once."""

    name: str
    flat: str
    count: str
    shape: Shape
    parts: tuple["_Name", ...]


def flatten(catalogue: Catalogue, event: Mapping[str, Any], *, links: Mapping[str, str]) -> dict[str, Any]:
    """Lay a full event out in one level: `error_code`, `data_url`, `data_first_item_url`, `metadata_order`."""
    error = event["error"] or {}
    summary = event["summary"] or {}
    bridge, related = event["bridge"], event["related"]
    flat: dict[str, Any] = {
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
        "run": event["run"],
        "sequence": event["sequence"],
        "metadata": _as_text(event["metadata"]),
    }
    _put_all(flat, "related", related, known=catalogue.related)
    if isinstance(event["metadata"], dict):
        _put_all(flat, "metadata", event["metadata"], known=())
    names, known = _names_of(catalogue, event["object"])
    for field in names:
        _put_known(flat, field, event["data"])
    _put_all(flat, "data", event["data"], known=known)
    return {
        **flat,
        **{f"link_{name}": links[name] for name in _LINKS},
        "bridge_schema": bridge["schema"],
        "bridge_callback_id": bridge["callback_id"],
        "bridge_observed_at": bridge["observed_at"],
        "bridge_polls": bridge["polls"],
        "bridge_detection_lag_max_ms": bridge["detection_lag_max_ms"] or 0,
        "bridge_late": bridge["late"],
        "bridge_truncated": bridge.get("truncated", False),
        "bridge_resend": bridge.get("resend", False),
        "test": event.get("test", False),
    }


def _put_known(flat: dict[str, Any], field: _Name, source: Mapping[str, Any]) -> None:
    """Put one documented field, in its documented type whatever the event holds."""
    value = source.get(field.name)
    flat[field.flat] = _settle(field.shape, value)
    if not field.parts:
        return
    entries = value if isinstance(value, list) else []
    first = entries[0] if entries and isinstance(entries[0], dict) else {}
    flat[field.count] = len(entries)
    for part in field.parts:
        _put_known(flat, part, first)


def _put_all(flat: dict[str, Any], prefix: str, source: Mapping[str, Any], *, known: Collection[str]) -> None:
    """Put what no table knows; names that become one are told apart by a number."""
    numbers: dict[str, int] = {}
    for key, value in source.items():
        if key in known:
            continue
        name = plain = f"{prefix}_{_snake(key)}"
        while name in flat:
            numbers[plain] = numbers.get(plain, 1) + 1
            name = f"{plain}_{numbers[plain]}"
        flat[name] = value if isinstance(value, bool | int | float) else _as_text(value)


def _settle(shape: Shape, value: Any) -> Any:
    if shape is Shape.TEXT:
        return _as_text(value)
    if shape is Shape.FLAG:
        return value is True
    if shape is Shape.NUMBER:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return _EMPTY[shape] if value is None else _as_text(value)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_js_json(value).decode()


@lru_cache(maxsize=4096)
def _snake(name: str) -> str:
    return _OTHER.sub("_", _HUMP.sub("_", name).lower()).strip("_") or "field"


def _name(prefix: str, field: Field) -> _Name:
    flat = f"{prefix}_{_snake(field.name)}"
    parts = tuple(_name(f"{prefix}_first_{field.part}", part) for part in field.parts)
    return _Name(name=field.name, flat=flat, count=f"{flat}_count", shape=field.shape, parts=parts)


@lru_cache(maxsize=256)
def _names_of(catalogue: Catalogue, kind: str) -> tuple[tuple[_Name, ...], frozenset[str]]:
    fields = catalogue.fields[kind]
    return tuple(_name("data", field) for field in fields), frozenset(field.name for field in fields)
