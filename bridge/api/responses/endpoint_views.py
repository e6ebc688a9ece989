"""Convert endpoints into the JSON of answers. No I/O."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from bridge.api.responses.endpoint_models import BreakerShape, EndpointShape
from bridge.api.responses.following_views import view_following
from bridge.api.responses.views import iso_or_none
from bridge.domain.deliveries.breaker import Breaker, BreakerState
from bridge.domain.following.records import Followed
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.providers.registry import CATALOGUE


@lru_cache(maxsize=1)
def every_ending() -> tuple[str, ...]:
    """Return the event types that an endpoint without a filter gets."""
    return tuple(each.type for each in CATALOGUE.types.values() if each.ending)


def view_endpoint(
    endpoint: Endpoint,
    *,
    url: str,
    now_ms: int,
    followed: Sequence[Mapping[str, Followed]],
    breaker: Breaker,
) -> EndpointShape:
    """Return an endpoint; `url` is what the caller may see of its URL, `followed` are the personas of each account."""
    return {
        "id": endpoint.id,
        "object": "endpoint",
        "url": url,
        "events": list(endpoint.events or every_ending()),
        "personas": list(endpoint.personas) or None,
        "following": view_following(endpoint, followed),
        "description": endpoint.description,
        "metadata": endpoint.metadata,
        "payload": endpoint.payload,
        "rate_limit_per_second": endpoint.rate,
        "enabled": endpoint.enabled,
        "disabled_at": iso_or_none(endpoint.disabled_ms),
        "disabled_reason": endpoint.disabled_reason or None,
        "breaker": view_breaker(breaker, now_ms=now_ms),
        "created_at": iso_or_none(endpoint.created_ms) or "",
        "previous_secret_expires_at": previous_expiry(endpoint, now_ms=now_ms),
    }


def view_breaker(breaker: Breaker, *, now_ms: int) -> BreakerShape:
    """Return the breaker of an endpoint's URL."""
    state = breaker.state(now_ms)
    is_closed = state is BreakerState.CLOSED
    return {
        "state": state.value,
        "failures": breaker.failures,
        "opened_at": None if is_closed else iso_or_none(breaker.opened_ms),
        "next_attempt_at": iso_or_none(breaker.sleeps_until_ms) if state is BreakerState.OPEN else None,
    }


def previous_expiry(endpoint: Endpoint, *, now_ms: int) -> str | None:
    """Return until when an endpoint's former secret signs too, None if it does not."""
    expires_ms = endpoint.previous_expires_ms if endpoint.previous_secret else 0
    return iso_or_none(expires_ms) if expires_ms > now_ms else None
