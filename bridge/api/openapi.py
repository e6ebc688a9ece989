"""The OpenAPI 3.1 document, generated from the routes and from the event types' schemas."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from bridge.api.idempotency import HEADER, MAX_KEY_CHARS
from bridge.api.routing import ANY_SCOPE, Route
from bridge.api.schemas import FORM, REF, Schemas, describe_query
from bridge.domain.events.schema import event_schema
from bridge.providers.registry import CATALOGUE, PROVIDERS

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
TAGS: Mapping[str, str] = {
    "Callbacks": "Registrations: this URL, for this job.",
    "Endpoints": "Standing registrations: this URL, for all matching events.",
    "Events and deliveries": "What became known of jobs, and how it is delivered.",
    "Tasks": "Work on many objects that goes on after its request, and how far it is.",
    "Event types": "The catalogue of events, with schemas and samples.",
    "Administration": "Keys, projects and signing secrets.",
    "Accounts": "Logins at the providers, with their rate budgets.",
    "Service": "Health and metrics of this process.",
}
RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}


def build_document(routes: Sequence[Route], *, server: str) -> dict[str, Any]:
    """Return the whole document; `server` is the address that clients use."""
    return {**describe_routes(routes), **describe_server(server)}


def describe_server(server: str) -> dict[str, Any]:
    """Return the field that says where the API is."""
    return {"servers": [{"url": server}]}


def describe_routes(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document without its address."""
    schemas = Schemas(routes)
    titles = " or ".join(provider.title for provider in PROVIDERS.values())
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reelbridge",
            "version": version("reelbridge"),
            "description": f"Register a callback for a {titles} job, get one signed POST when it ends.",
            "contact": {"name": "reelbridge"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"bearer": []}, {"header": []}, {"basic": []}],
        "tags": [
            {"name": tag, "description": TAGS[tag]} for tag in dict.fromkeys(route.tag for route in routes)
        ],
        "paths": paths,
        "webhooks": {name: _webhook(name) for name in CATALOGUE.types},
        "components": {
            "schemas": schemas.definitions,
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


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, schemas),
    }
    if parameters := [
        *_path_parameters(route),
        *_query_parameters(route),
        *_header_parameters(route),
    ]:
        operation["parameters"] = parameters
    if route.body is not None and route.method in ("POST", "PUT", "PATCH"):
        operation["requestBody"] = _request_body(route, schemas)
    if route.scope is None:
        operation |= {"security": [], "description": "Needs no key."}
    else:
        words = "any key" if route.scope == ANY_SCOPE else f"a key with the scope `{route.scope}`"
        operation["description"] = f"Needs {words}."
        if route.lenient:
            operation["description"] += (
                " The body may also be multipart; what it lacks is taken from the query."
            )
        if route.by_query:
            operation["security"] = [{"bearer": []}, {"header": []}, {"basic": []}, {"query": []}]
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    return [
        {"name": name, "in": "query", "required": required, "schema": schema}
        for name, schema, required in describe_query(route.query)
    ]


# The header of an operation that has one, and how many characters it may have.
_HEADERS = {
    "create_callback": (HEADER, MAX_KEY_CHARS),
    "create_endpoint": (HEADER, MAX_KEY_CHARS),
    "stream_events": ("Last-Event-ID", 200),
}


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    name, most = _HEADERS.get(route.name, ("", 0))
    schema = {"type": "string", "maxLength": most}
    return [{"name": name, "in": "header", "required": False, "schema": schema}] if name else []


def _request_body(route: Route, schemas: Schemas) -> dict[str, Any]:
    assert route.body is not None
    name = route.body.__name__
    content = {"application/json": {"schema": {"$ref": REF.format(model=name)}}}
    if route.lenient:
        form = {"schema": {"$ref": REF.format(model=name + FORM)}}
        content["application/x-www-form-urlencoded"] = form
    required = bool(schemas.definitions[name].get("required")) and not route.lenient
    return {"required": required, "content": content}


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    answers = {str(status): _answer(route, status, shape, schemas) for status, shape in route.answers.items()}
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


def _answer(route: Route, status: int, shape: Any, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if shape is None:
        answer["headers"] = {
            "Location": {"description": "where it is", "schema": {"type": "string", "format": "uri"}}
        }
    elif isinstance(shape, str):
        binary = {} if shape.startswith("text/") else {"format": "binary"}
        answer["content"] = {shape: {"schema": {"type": "string", **binary}}}
        if HTTPStatus.FOUND in route.answers:
            answer["description"] = "What a client receives that follows the redirect."
    else:
        answer["content"] = {"application/json": {"schema": schemas.answer(shape)}}
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
