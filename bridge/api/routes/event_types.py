"""Routes of the catalogue of event types."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aiohttp import web

from bridge.api.requests.fields import SampleQuery
from bridge.api.responses.event_models import EventShape, EventTypePage, EventTypeShape
from bridge.api.responses.json_response import reply
from bridge.api.routing import ApiCall, Routes
from bridge.domain.events.payload_schemas import payload_schemas
from bridge.domain.events.samples import samples
from bridge.domain.events.schema import event_schema
from bridge.errors import NotFound
from bridge.providers.registry import CATALOGUE

ROUTES = Routes("Event types")


@lru_cache(maxsize=256)
def view_event_type(name: str, base_url: str) -> EventTypeShape:
    """Return one event type; raise KeyError if it is not in the catalogue."""
    known = CATALOGUE.types[name]
    return {
        "id": known.type,
        "object": "event_type",
        "type": known.type,
        "kind": known.kind,
        "ending": known.ending,
        "outcome": str(known.outcome) if known.outcome else None,
        "description": known.summary,
        "schema": event_schema(CATALOGUE, name),
        "sample": samples(CATALOGUE, name, base_url=base_url)[0],
    }


@lru_cache(maxsize=256)
def _schemas(name: str) -> dict[str, dict[str, Any]]:
    return payload_schemas(CATALOGUE, name)


def _find(name: str, catalogue: Mapping[str, Any] = CATALOGUE.types) -> str:
    if name not in catalogue:
        raise NotFound(f"there is no event type {name[:80]}: GET /v1/event-types lists them")
    return name


@ROUTES.add("GET", "/v1/event-types", scope="read", answers={200: EventTypePage})
async def list_event_types(call: ApiCall) -> web.StreamResponse:
    """List all event types, each with JSON Schema and a sample."""
    base_url = call.services.settings.base_url
    return reply({"data": [view_event_type(name, base_url) for name in CATALOGUE.types], "next_cursor": None})


@ROUTES.add("GET", "/v1/event-types/{type}", scope="read", answers={200: EventTypeShape}, errors=(404,))
async def get_event_type(call: ApiCall) -> web.StreamResponse:
    """Read an event type, with the JSON Schema of each payload form."""
    name = _find(call.path("type"))
    view = view_event_type(name, call.services.settings.base_url)
    return reply({**view, "schemas": _schemas(name)})


@ROUTES.add(
    "GET",
    "/v1/event-types/{type}/samples",
    scope="read",
    query=SampleQuery,
    answers={200: list[EventShape]},
    errors=(404,),
)
async def list_samples(call: ApiCall) -> web.StreamResponse:
    """List samples of an event type, as a bare array."""
    payload = call.query(SampleQuery).payload
    name = _find(call.path("type"))
    return reply(samples(CATALOGUE, name, payload=payload, base_url=call.services.settings.base_url))
