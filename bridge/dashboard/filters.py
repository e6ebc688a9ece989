"""Filters of lists, which are query parameters and nothing else. No I/O."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from bridge.domain.deliveries.records import DeliveryState
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.services.deliveries.delivery_filter import FAILING, STATES, TROUBLE, DeliveryFilter

_SPAN: Final = re.compile(r"(\d{1,4})([mhd])")
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ANSWER: Final = re.compile(r"[1-5]xx|none|[1-5]\d\d")
NAMES: Final = ("state", "receiver", "answer", "type", "kind", "account", "since", "until", "subscription")

# The saved views that every project has, and their queries.
VIEWS: Final[Mapping[str, Mapping[str, str]]] = {
    "In trouble": {},
    "Waiting": {"state": "pending"},
    "In flight": {"state": "in_flight"},
    "Parked": {"state": "parked"},
    "Delivered": {"state": "succeeded"},
    "Cancelled": {"state": "cancelled"},
    "All": {"state": "any"},
}
STATE_WORDS: Final = {
    FAILING: "failing",
    str(DeliveryState.PENDING): "waiting",
    str(DeliveryState.IN_FLIGHT): "in flight",
    str(DeliveryState.SUCCEEDED): "delivered",
    str(DeliveryState.PARKED): "parked",
    str(DeliveryState.CANCELLED): "cancelled",
}


def read_moment(text: str, field: str, *, now_ms: int) -> int:
    """Return a time in Unix milliseconds: a length of time ago such as `7d`, or ISO 8601; 0 for none."""
    if not text:
        return 0
    if span := _SPAN.fullmatch(text):
        return now_ms - int(span[1]) * _UNIT_MS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValidationFailed(
            field, "not a time: use a length of time such as 7d, or 2026-11-21T10:00Z"
        ) from None


def read_filter(query: Mapping[str, str], *, now_ms: int) -> DeliveryFilter:
    """Return the conditions of a query; without a state these are the deliveries in trouble."""
    states = frozenset(filter(None, query.get("state", "").split(",")))
    if unknown := states - {*STATES, "any"}:
        raise ValidationFailed("state", f"no such state: {min(unknown)[:40]}; use {', '.join(STATES)} or any")
    answer = query.get("answer", "")
    if answer and not _ANSWER.fullmatch(answer):
        raise ValidationFailed("answer", "use a status such as 404, a class such as 5xx, or none")
    for name, known in (("type", CATALOGUE.types), ("kind", KINDS)):
        if query.get(name) and query[name] not in known:
            raise ValidationFailed(name, f"no such {name}: use one of the list")
    return DeliveryFilter(
        states=TROUBLE if not states else frozenset() if "any" in states else states,
        receiver=query.get("receiver", "").strip(),
        answer=answer,
        since_ms=read_moment(query.get("since", ""), "since", now_ms=now_ms),
        until_ms=read_moment(query.get("until", ""), "until", now_ms=now_ms),
        subscription=query.get("subscription", ""),
        type=query.get("type", ""),
        kind=query.get("kind", ""),
        account=query.get("account", ""),
    )


def link(path: str, query: Mapping[str, str], **changes: str | None) -> str:
    """Return a link to a list with some parameters changed; None removes one, and so does a new start its cursor."""
    fresh = {**query, **changes}
    if "cursor" not in changes:
        fresh["cursor"] = None
    pairs = [(name, value) for name, value in fresh.items() if value]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def list_chips(path: str, query: Mapping[str, str], names: Sequence[str] = NAMES) -> list[dict[str, str]]:
    """Return the conditions that are set, each with the link without it; the default one too."""
    chips = [
        {"text": f"{name}: {query[name]}", "without": link(path, query, **{name: None})}
        for name in names
        if query.get(name) and query[name] != "any"
    ]
    if "state" in names and not query.get("state"):
        chips.insert(0, {"text": "state: parked, failing", "without": link(path, query, state="any")})
    return chips
