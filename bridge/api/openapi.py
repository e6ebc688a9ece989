"""The OpenAPI 3.1 document, generated from the routes and from the event types' schemas."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, get_origin

from pydantic import TypeAdapter

from bridge.api.idempotency import HEADER, MAX_KEY_CHARS
from bridge.api.responses.models import ErrorAnswer
from bridge.api.routing import ANY_SCOPE, Route
from bridge.domain.events.schema import event_schema
from bridge.providers.registry import CATALOGUE, PROVIDERS

REF = "#/components/schemas/{model}"
BODY_ERRORS = (400, 413)
ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("Invalid", "A field is missing or wrong; the message names it and the fix."),
    401: ("Unauthorized", "No API key, or one that is not known."),
    403: ("Forbidden", "The key may not do this."),
    404: ("NotFound", "There is no such object in this project."),
    409: ("Conflict", "The request contradicts what is there."),
    413: ("TooLarge", "The body is larger than 256 KB."),
    429: ("RateLimited", "Too many requests: wait for Retry-After."),
    500: ("Failed", "Something went wrong on our side."),
    503: ("Unavailable", "Store or provider cannot be reached: repeat later."),
}
RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}


def build_document(routes: Sequence[Route], *, server: str) -> dict[str, Any]:
    """Return the whole document; `server` is the address that clients use."""
    shapes = _Shapes(routes)
    titles = " or ".join(provider.title for provider in PROVIDERS.values())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reelbridge",
            "version": version("reelbridge"),
            "description": f"Register a callback for a {titles} job, get one signed POST when it ends.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}, {"header": []}, {"basic": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "webhooks": {name: _webhook(name) for name in CATALOGUE.types},
        "components": {
            "schemas": shapes.definitions,
            "responses": {name: _error(status, text) for status, (name, text) in ERRORS.items()},
            "securitySchemes": _SECURITY,
        },
    }


_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key, brk_…"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "the key as user name, no password"},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "api_key",
        "description": "for tools that can do nothing else: registers and reads state, never secrets",
    },
}


class _Shapes:
    """The schemas of all models of all routes, each once, by name."""

    def __init__(self, routes: Sequence[Route]) -> None:
        inputs = [each for route in routes for each in (route.query, route.body) if each is not None]
        outputs = [
            ErrorAnswer,
            *(
                shape
                for route in routes
                for shape in route.answers.values()
                if shape is not None and not isinstance(shape, str)
            ),
        ]
        asked = [(_name(each), "validation", TypeAdapter[Any](each)) for each in dict.fromkeys(inputs)]
        asked += [(_name(each), "serialization", TypeAdapter[Any](each)) for each in _unique(outputs)]
        self._found, rest = TypeAdapter.json_schemas(asked, ref_template=REF)  # type: ignore[arg-type]  # the modes are literals
        self.definitions: dict[str, Any] = rest.get("$defs", {})

    def input(self, model: type) -> dict[str, Any]:
        """Return the schema of a query or body."""
        return self._found[(_name(model), "validation")]

    def output(self, shape: Any) -> dict[str, Any]:
        """Return the schema of an answer."""
        return self._found[(_name(shape), "serialization")]

    def properties(self, model: type) -> tuple[Mapping[str, Any], Sequence[str]]:
        """Return the fields of a query with their schemas, and the names of the required ones."""
        schema = self.input(model)
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        return schema.get("properties", {}), schema.get("required", ())


def _name(shape: Any) -> str:
    return shape.__name__ if isinstance(shape, type) and get_origin(shape) is None else str(shape)


def _unique(shapes: Iterable[Any]) -> list[Any]:
    return list({_name(shape): shape for shape in shapes}.values())


def _operation(route: Route, shapes: _Shapes) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, shapes),
    }
    if parameters := [
        *_path_parameters(route),
        *_query_parameters(route, shapes),
        *_header_parameters(route),
    ]:
        operation["parameters"] = parameters
    if route.body is not None and route.method in ("POST", "PUT", "PATCH"):
        operation["requestBody"] = _request_body(route, shapes)
    if route.scope is None:
        operation["security"] = []
    else:
        words = "any key" if route.scope == ANY_SCOPE else f"a key with the scope `{route.scope}`"
        operation["description"] = f"Needs {words}."
        if route.by_query:
            operation["security"] = [{"bearer": []}, {"header": []}, {"basic": []}, {"query": []}]
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route, shapes: _Shapes) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    properties, required = shapes.properties(route.query)
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        for name, schema in properties.items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if route.name != "create_callback":
        return []
    schema = {"type": "string", "maxLength": MAX_KEY_CHARS}
    return [{"name": HEADER, "in": "header", "required": False, "schema": schema}]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query parameter's schema without null, which a query expresses by leaving the parameter out."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    if "anyOf" in kept:
        arms = [arm for arm in kept.pop("anyOf") if arm != {"type": "null"}]
        return {**arms[0], **kept} if len(arms) == 1 else {"anyOf": arms, **kept}
    return kept


def _request_body(route: Route, shapes: _Shapes) -> dict[str, Any]:
    assert route.body is not None
    schema = shapes.input(route.body)
    _, required = shapes.properties(route.body)
    types = ["application/json"]
    if route.lenient:
        types += ["application/x-www-form-urlencoded", "multipart/form-data"]
    return {
        "required": bool(required) and not route.lenient,
        "content": {kind: {"schema": schema} for kind in types},
    }


def _responses(route: Route, shapes: _Shapes) -> dict[str, Any]:
    answers = {str(status): _answer(route, status, shape, shapes) for status, shape in route.answers.items()}
    statuses = {400, 429, 500, 503, *route.errors}
    if route.scope is not None:
        statuses |= {401, 403}
    if route.body is not None or route.method in ("POST", "PUT", "PATCH", "DELETE"):
        statuses |= set(BODY_ERRORS)
    errors = {
        str(status): {"$ref": f"#/components/responses/{ERRORS[status][0]}"}
        for status in sorted(statuses)
        if str(status) not in answers
    }
    return {**answers, **errors}


def _answer(route: Route, status: int, shape: Any, shapes: _Shapes) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if shape is None:
        answer["headers"] = {
            "Location": {"description": "where it is", "schema": {"type": "string", "format": "uri"}}
        }
    elif isinstance(shape, str):
        answer["content"] = {shape: {"schema": {"type": "string"}}}
    else:
        answer["content"] = {"application/json": {"schema": shapes.output(shape)}}
    if status == 201:
        answer["headers"] = {
            "Location": {"description": "the new object", "schema": {"type": "string", "format": "uri"}}
        }
    return answer


def _error(status: int, text: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": REF.format(model="ErrorAnswer")}}},
    }
    if status in (429, 503):
        error["headers"] = RETRY_AFTER
    return error


def _webhook(name: str) -> dict[str, Any]:
    known = CATALOGUE.types[name]
    headers = [
        {"name": header, "in": "header", "required": True, "schema": {"type": "string"}}
        for header in ("webhook-id", "webhook-timestamp", "webhook-signature")
    ]
    return {
        "post": {
            "operationId": f"on_{name.replace('.', '_')}",
            "summary": known.summary,
            "parameters": headers,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": event_schema(CATALOGUE, name)}},
            },
            "responses": {"2XX": {"description": "taken; nothing more is sent"}},
            "security": [],
        }
    }
