"""The API in OpenAPI 2.0 (Swagger), made of its OpenAPI 3.1 document.

Custom connectors of Power Automate and Logic Apps read no later version. Their extensions mark the operation that pauses
a flow until its callback comes (https://learn.microsoft.com/connectors/custom-connectors/openapi-extensions). What
OpenAPI 2.0 cannot say is left out: other forms of a body than JSON, alternatives of types, and webhooks.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from bridge.api.requests.callback_request import EVENT_FIELDS, URL_FIELDS

EVENT = "FlatEvent"
SECURITY = {
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "the word Bearer, a blank, and the key",
    },
    "basic": {"type": "basic", "description": "the key as user name, no password"},
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
}
LICENSE_URL = "https://spdx.org/licenses/MIT.html"
_JSON = "application/json"
_OF_OPERATION = ("operationId", "summary", "description", "tags", "security")
# What a schema may say in both versions.
_SAME = (
    *("title", "description", "format", "default", "pattern", "required"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
)


def convert_document(document: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without its address; `event` is the JSON Schema of what a callback receives."""
    parts = document["components"]
    definitions = {name: convert_schema(schema) for name, schema in parts["schemas"].items()}
    definitions[EVENT] = convert_schema(event)
    paths = {
        path: {method: _convert_operation(each) for method, each in operations.items()}
        for path, operations in document["paths"].items()
    }
    _mark_registration(paths["/v1/callbacks"], definitions["CallbackBody"])
    used = _find_used(paths.values(), definitions)
    info = {name: value for name, value in document["info"].items() if name != "license"}
    return {
        "swagger": "2.0",
        "info": {**info, "license": {"name": "MIT", "url": LICENSE_URL}},
        "consumes": [_JSON],
        "produces": [_JSON],
        "security": document["security"],
        "securityDefinitions": SECURITY,
        "tags": document["tags"],
        "paths": paths,
        "definitions": {name: schema for name, schema in definitions.items() if name in used},
        "responses": {name: _convert_answer(each) for name, each in parts["responses"].items()},
    }


def describe_address(server: str) -> dict[str, Any]:
    """Return the fields that say where the API is."""
    url = urlsplit(server)
    return {"host": url.netloc, "basePath": url.path or "/", "schemes": [url.scheme]}


def convert_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without null and alternatives: what may be null is marked, what may be many things is anything."""
    if "$ref" in schema:
        return {"$ref": _refer(schema["$ref"])}
    arms = schema.get("anyOf") or schema.get("oneOf") or ()
    some = [arm for arm in arms if arm.get("type") != "null"]
    if len(some) == 1 and "$ref" not in some[0]:
        schema = {
            **some[0],
            **{name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")},
        }
    elif len(some) == 1:
        return convert_schema(some[0])
    converted = {name: schema[name] for name in _SAME if name in schema}
    words = [word for word in schema.get("enum", [schema.get("const")]) if word is not None]
    types = [each for each in _as_list(schema.get("type")) if each not in ("null", None)]
    converted |= {"enum": words} if words else {}
    converted |= {"type": types[0]} if len(types) == 1 else {"type": "string"} if words else {}
    converted |= {"example": schema["examples"][0]} if "examples" in schema else {}
    if len(some) < len(arms) or "null" in _as_list(schema.get("type")):
        converted["x-nullable"] = True
    if "properties" in schema:
        converted["properties"] = {name: convert_schema(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        converted["items"] = convert_schema(schema["items"])
    if isinstance(more := schema.get("additionalProperties"), dict):
        converted["additionalProperties"] = convert_schema(more)
    return converted


def _convert_operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    converted = {name: operation[name] for name in _OF_OPERATION if name in operation}
    parameters = [_convert_parameter(each) for each in operation.get("parameters", ())]
    if "requestBody" in operation:
        schema = convert_schema(operation["requestBody"]["content"][_JSON]["schema"])
        required = operation["requestBody"]["required"]
        parameters.append({"name": "body", "in": "body", "required": required, "schema": schema})
    if parameters:
        converted["parameters"] = parameters
    answers = operation["responses"]
    converted["responses"] = {status: _convert_answer(each) for status, each in answers.items()}
    types = {kind for each in answers.values() for kind in each.get("content", ())} - {_JSON}
    if types:
        converted["produces"] = [*sorted(types), _JSON]  # errors are JSON everywhere
    return converted


def _convert_parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter of path, query or header, whose schema's fields stand in itself."""
    schema = convert_schema(parameter["schema"])
    kept = {name: value for name, value in parameter.items() if name != "schema"}
    return {**kept, **{name: value for name, value in schema.items() if name not in ("title", "example")}}


def _convert_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in answer:
        return {"$ref": _refer(answer["$ref"])}
    converted: dict[str, Any] = {"description": answer["description"]}
    for content in answer.get("content", {}).values():
        converted["schema"] = convert_schema(content["schema"])
    if "headers" in answer:
        converted["headers"] = {
            name: {"description": each["description"], **convert_schema(each["schema"])}
            for name, each in answer["headers"].items()
        }
    return converted


def _mark_registration(path: dict[str, Any], body: dict[str, Any]) -> None:
    """Mark the operation that pauses a flow, the field for the URL that wakes it, and what arrives there."""
    path["x-ms-notification-content"] = {
        "description": "The event that ends the wait.",
        "schema": {"$ref": f"#/definitions/{EVENT}"},
    }
    path["post"]["parameters"][-1]["required"] = True
    for status in (
        "200",
        "201",
    ):  # of several jobs at once, which one flow does not wait for, the answer is a list
        path["post"]["responses"][status]["schema"] = {"$ref": "#/definitions/CallbackShape"}
    url, *other_urls = URL_FIELDS
    for name in (*other_urls, *EVENT_FIELDS[1:]):
        del body["properties"][name]
    body["required"] = [url]
    body["properties"][url] |= {"x-ms-notification-url": True, "x-ms-visibility": "internal"}
    body["properties"]["payload"] |= {"default": "flat", "x-ms-visibility": "internal"}


def _refer(reference: str) -> str:
    kind, name = reference.removeprefix("#/components/").split("/")
    return f"#/{'definitions' if kind == 'schemas' else kind}/{name}"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _find_used(values: Iterable[Any], definitions: Mapping[str, Any]) -> set[str]:
    """Return the names of the definitions that some values refer to, also by way of others, and those of errors."""
    used: set[str] = set()
    waiting: list[Any] = [*values, {"$ref": "#/definitions/ErrorAnswer"}]
    for value in waiting:  # the list grows during the loop
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/definitions/")
            if name in definitions and name not in used:
                used.add(name)
                waiting.append(definitions[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return used
