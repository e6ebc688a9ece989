"""The AsyncAPI 3.0 document: what a callback's URL receives, a message for each type of event in its form `full`."""

from importlib.metadata import version
from typing import Any

from bridge.api.swagger import LICENSE_URL
from bridge.domain.events.samples import samples
from bridge.domain.events.schema import event_schema
from bridge.providers.registry import CATALOGUE

CHANNEL = "callback"
HEADERS = {
    "webhook-id": "The event's id: the same for every attempt.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "Signatures of id, timestamp and body (Standard Webhooks 1.0.0), with a blank between several.",
}


def build_asyncapi() -> dict[str, Any]:
    """Return the whole document."""
    names = list(CATALOGUE.types)
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "reelbridge events",
            "version": version("reelbridge"),
            "description": "Signed POST requests that tell how a job stands. OpenAPI describes how to register for them.",
            "license": {"name": "MIT", "url": LICENSE_URL},
            "tags": [{"name": "webhooks", "description": "Events that are sent to URLs of clients."}],
        },
        "defaultContentType": "application/json",
        "channels": {
            CHANNEL: {
                "description": "The URL of a registration, hence without an address.",
                "messages": messages,
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{CHANNEL}"},
                "summary": "Send an event to the URL of a registration.",
                "description": "Any 2xx answer takes it; anything else is tried again.",
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
                "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{name}"} for name in names],
            }
        },
        "components": {
            "messages": {name: _describe(name) for name in names},
            "schemas": {"headers": _HEADERS},
        },
    }


_HEADERS = {
    "type": "object",
    "properties": {name: {"type": "string", "description": text} for name, text in HEADERS.items()},
    "required": list(HEADERS),
}


def _describe(name: str) -> dict[str, Any]:
    # What the schema uses of JSON Schema means the same in draft 07, which AsyncAPI's own schemas extend.
    payload = {key: value for key, value in event_schema(CATALOGUE, name).items() if key != "$schema"}
    return {
        "name": name,
        "title": name,
        "summary": CATALOGUE.types[name].summary,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": payload,
        "examples": [{"name": "sample", "payload": sample} for sample in samples(CATALOGUE, name)],
    }
