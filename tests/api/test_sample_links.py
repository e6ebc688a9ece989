"""Every link of every event leads to a route that exists."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.api.app import KEYED_ROUTES
from bridge.domain.events.payloads import PAYLOADS
from bridge.domain.events.samples import samples
from bridge.providers.registry import CATALOGUE

BASE = "https://bridge.example"


def links(value: Any) -> Iterator[str]:
    """Find the addresses of this bridge; a CloudEvent's `source` only says who speaks."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not (name == "source" and "specversion" in value):
                yield from links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner)
    elif isinstance(value, str) and value.startswith(BASE):
        yield value


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_link_is_a_route(payload: str) -> None:
    """In the samples of all types."""
    readable = [
        re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path)) for route in KEYED_ROUTES if route.method == "GET"
    ]
    shown = {
        link
        for type_ in CATALOGUE.types
        for sample in samples(CATALOGUE, type_, payload=payload, base_url=BASE)
        for link in links(sample)
    }
    assert bool(shown) == (payload in ("thin", "flat"))
    dead = [link for link in shown if not any(each.fullmatch(urlsplit(link).path) for each in readable)]
    assert dead == []
