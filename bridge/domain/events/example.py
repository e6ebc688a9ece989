"""Fill samples: a tool that learns an event's shape from one request does not learn a field that is null or empty."""

from collections.abc import Sequence
from typing import Any

from bridge.domain.events.fields import Field, Shape

EXAMPLE = "an example"
MOMENT = "2026-11-21T10:34:10.123Z"


def fill_object(fields: Sequence[Field], data: dict[str, Any]) -> dict[str, Any]:
    """Return an object with all its documented fields, those without a value with an example of their type."""
    filled: dict[str, Any] = fill(data)
    return {**filled, **{field.name: _fill_field(field, data.get(field.name)) for field in fields}}


def fill(value: Any) -> Any:
    """Return a JSON value in which nothing is null or empty, whatever it means."""
    match value:
        case dict() if value:
            return {name: fill(each) for name, each in value.items()}
        case list() if value:
            return [fill(each) for each in value]
        case dict():
            return {"example": EXAMPLE}
        case list():
            return [EXAMPLE]
        case None | "":
            return EXAMPLE
        case _:
            return value


def _fill_field(field: Field, value: Any) -> Any:
    if field.parts:
        entries = value if isinstance(value, list) and value else [{}]
        return [fill_object(field.parts, each) if isinstance(each, dict) else each for each in entries]
    if value not in (None, "", [], {}):
        return fill(value)
    match field.shape:
        case Shape.NUMBER:
            return 1
        case Shape.FLAG:
            return True
        case Shape.OBJECT:
            return fill({})
        case Shape.LIST:
            return fill([])
        case _:
            return MOMENT if field.format == "date-time" else EXAMPLE
