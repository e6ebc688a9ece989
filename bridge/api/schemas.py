"""JSON Schemas of the API's queries, bodies and answers, in a form that generators of clients understand.

Those generators demand a field that has a default, offer null wherever it is allowed, and send a body in every form that
has the same schema. So requests are described without defaults, without a null that means the same as an absent field,
and with a schema of its own for forms.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_origin

from pydantic import BaseModel, TypeAdapter

from bridge.api.requests.fields import REMOVABLE
from bridge.api.responses.models import ErrorAnswer
from bridge.api.routing import Route

REF = "#/components/schemas/{model}"
FORM = "Form"
_NULL = {"type": "null"}
_AS_TEXT = {"array": "separated by commas", "object": "as JSON text"}


class Schemas:
    """The schemas of all bodies and answers of some routes; `definitions` has each once, by its name."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Build the schemas of what the routes take and answer."""
        shapes = {_name(each): each for each in (ErrorAnswer, *_list_answers(routes))}
        asked = [(name, "serialization", TypeAdapter[Any](each)) for name, each in shapes.items()]
        self._answers, rest = TypeAdapter.json_schemas(asked, ref_template=REF)  # type: ignore[arg-type]  # the modes are literals
        self.definitions: dict[str, Any] = dict(rest.get("$defs", {}))
        for route in routes:
            if route.body is not None:
                self._add_body(route.body, lenient=route.lenient)

    def answer(self, shape: Any) -> dict[str, Any]:
        """Return the schema of an answer."""
        return self._answers[(_name(shape), "serialization")]

    def _add_body(self, model: type[BaseModel], *, lenient: bool) -> None:
        schema = describe_body(model)
        self.definitions[model.__name__] = schema
        if lenient:
            self.definitions[model.__name__ + FORM] = describe_form(schema)


def describe_query(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Return the parameters of a query, each with its schema and whether it is required."""
    schema = model.model_json_schema()
    for name, described in schema["properties"].items():
        yield name, _drop_null(described), name in schema.get("required", ())


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a JSON body, in which defaults stand in the descriptions."""
    schema = model.model_json_schema()
    return {
        **schema,
        "properties": {name: _describe_field(each) for name, each in schema["properties"].items()},
    }


def describe_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the form that stands for a JSON body: lists and objects are texts in it."""
    properties = {name: _describe_text(each) for name, each in schema["properties"].items()}
    title = f"{schema['title']}{FORM}"
    return {
        **schema,
        "title": title,
        "description": f"{schema['description']} As a form.",
        "properties": properties,
    }


def _describe_field(described: Mapping[str, Any]) -> dict[str, Any]:
    field = dict(described)
    default = field.pop("default", None)
    if default not in (None, ""):
        note = f"default: {json.dumps(default)}"
        field["description"] = f"{field['description']}; {note}" if "description" in field else note
    return field if field.pop(REMOVABLE, False) else _drop_null(field)


def _drop_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema without null, which a request expresses by leaving the field out."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    if "anyOf" in kept:
        arms = [arm for arm in kept.pop("anyOf") if arm != _NULL]
        return {**arms[0], **kept} if len(arms) == 1 else {"anyOf": arms, **kept}
    return kept


def _describe_text(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema in a form, where null cannot be said."""
    plain = _drop_null(field)
    form = next((arm["type"] for arm in plain.get("anyOf", [plain]) if arm["type"] in _AS_TEXT), None)
    if form is None:
        return plain
    kept: dict[str, Any] = {name: plain[name] for name in ("title", "description") if name in plain}
    description = f"{kept['description']}; {_AS_TEXT[form]}" if "description" in kept else _AS_TEXT[form]
    return {"type": "string", **kept, "description": description}


def _list_answers(routes: Sequence[Route]) -> Iterator[Any]:
    for route in routes:
        yield from (each for each in route.answers.values() if each is not None and not isinstance(each, str))


def _name(shape: Any) -> str:
    return shape.__name__ if isinstance(shape, type) and get_origin(shape) is None else str(shape)
