"""Endpoints: all of them with a form for a new one, and one with its health and its deliveries."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.dashboard.pictures import draw_bars, draw_gauge
from bridge.dashboard.views.rows import show_deliveries
from bridge.domain.counts import say_count
from bridge.domain.deliveries.breaker import Breaker, BreakerState
from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.providers.registry import CATALOGUE
from bridge.services.deliveries.browse import Browsed, browse
from bridge.services.deliveries.delivery_filter import DeliveryFilter
from bridge.services.subscriptions import endpoints
from bridge.services.subscriptions.sealing import open_url, show_url, valid_previous

LOOKED: Final = 200  # of an endpoint's deliveries, for its health
SHOWN: Final = 50
TEST: Final = "webhook.test"


def name_endpoint(endpoint: Endpoint) -> tuple[str, str]:
    """Return how an endpoint's state looks."""
    if endpoint.enabled:
        return "good", "enabled"
    return "off", f"disabled: {endpoint.disabled_reason or 'switched off'}"


def name_breaker(breaker: Breaker, now_ms: int) -> tuple[str, str] | None:
    """Return how a URL's breaker looks; None where it is closed."""
    state = breaker.state(now_ms)
    if state is BreakerState.CLOSED:
        return None
    return ("bad", "held back") if state is BreakerState.OPEN else ("warn", "being tried")


async def show_endpoints(
    visit: Visit, found: Sequence[Endpoint], *, whole: bool = False
) -> list[dict[str, Any]]:
    """Return what templates show of endpoints; `whole` their whole URLs, if the key may see them."""
    now_ms = visit.services.clock_ms()
    breakers = await visit.services.store.breakers.look({each.lane for each in found}, now_ms=now_ms)
    return [_show(visit, each, breakers[each.lane], whole=whole) for each in found]


def _show(visit: Visit, endpoint: Endpoint, breaker: Breaker, *, whole: bool) -> dict[str, Any]:
    see_url = open_url if whole and visit.can("manage") else show_url
    now_ms = visit.services.clock_ms()
    previous = valid_previous(endpoint, now_ms=now_ms) is not None
    is_open = breaker.state(now_ms) is BreakerState.OPEN
    return {
        "id": endpoint.id,
        "url": see_url(visit.services.store.vault, endpoint),
        "badge": name_endpoint(endpoint),
        "breaker": name_breaker(breaker, now_ms),
        "failures": breaker.failures,
        "opened_ms": breaker.opened_ms,
        "tried_ms": breaker.sleeps_until_ms if is_open else None,
        "enabled": endpoint.enabled,
        "events": list(endpoint.events) or ["all endings"],
        "personas": list(endpoint.personas),
        "description": endpoint.description,
        "payload": endpoint.payload,
        "rate": endpoint.rate,
        "created_ms": endpoint.created_ms,
        "previous_until_ms": endpoint.previous_expires_ms if previous else None,
        "is_inbox": endpoint.origin == INBOX,
    }


async def list_endpoints(visit: Visit, *, form: Mapping[str, str] | None = None, problem: str = "") -> View:
    """Return the list, with a form that was refused if there is one."""
    found = await endpoints.list_newest(visit.services, visit.project)
    values = {
        "endpoints": await show_endpoints(visit, found),
        "form": form or {},
        "problem": problem,
    }
    return View(title="Endpoints", template="endpoints.html", values=values, status=400 if problem else 200)


async def read_endpoints(visit: Visit) -> View:
    """Read the list."""
    return await list_endpoints(visit)


async def read_endpoint(visit: Visit) -> View:
    """Read one endpoint."""
    return await show_one(visit)


async def show_one(visit: Visit, *, secret: str = "") -> View:
    """Return an endpoint's page, with its secret in clear if that was asked for."""
    services = visit.services
    endpoint = (await endpoints.find(services, visit.project, visit.path["id"])).record
    wanted = DeliveryFilter(subscription=endpoint.id)
    found = await browse(services, visit.project, wanted, limit=LOOKED, most=LOOKED)
    values = {
        "endpoint": (await show_endpoints(visit, (endpoint,), whole=True))[0],
        "health": _measure(found),
        "pulse": await _show_pulse(visit, endpoint.id),
        "rows": await show_deliveries(visit, found.rows[:SHOWN]),
        "types": sorted(CATALOGUE.types),
        "test": TEST,
        "secret": secret,
    }
    return View(title=f"Endpoint {endpoint.id}", template="endpoint.html", values=values)


async def _show_pulse(visit: Visit, endpoint: str) -> dict[str, Any] | None:
    """Return how attempts of the last 24 hours went, None without any."""
    now_ms = visit.services.clock_ms()
    pulse = await visit.services.store.tallies.read_pulse(visit.project, endpoint, now_ms=now_ms)
    ok, failed = sum(each.ok for each in pulse), sum(each.failed for each in pulse)
    if not ok + failed:
        return None
    picture = draw_bars(
        [[("good", each.ok), ("bad", each.failed)] for each in pulse],
        f"{say_count(ok, 'attempt')} answered with 2xx in the last 24 hours, {failed} not",
    )
    return {"ok": ok, "failed": failed, "picture": picture}


def _measure(found: Browsed) -> dict[str, Any]:
    """Return how an endpoint's latest deliveries went."""
    records = [row.delivery for row in found.rows]
    good = [each for each in records if each.state is DeliveryState.SUCCEEDED]
    parked = sum(each.state is DeliveryState.PARKED for each in records)
    failing = sum(each.state is DeliveryState.PENDING and each.tries > 0 for each in records)
    failed = [each for each in records if any(not _is_good(one.status) for one in each.attempts)]
    last = max((each.attempts[-1] for each in failed), key=lambda one: one.at_ms, default=None)
    return {
        "count": len(records),
        "good": len(good),
        "parked": parked,
        "failing": failing,
        "p95_ms": _p95([each.attempts[-1].duration_ms for each in good if each.attempts]),
        "last": last,
        "gauge": draw_gauge(
            [("used", len(good)), ("failing", failing), ("parked", parked)],
            f"{len(good)} delivered, {failing} failing, {parked} parked",
        ),
    }


def _is_good(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _p95(numbers: Sequence[int]) -> int:
    return sorted(numbers)[int(len(numbers) * 0.95)] if numbers else 0


PAGES = (
    DashboardPage(path="/endpoints", read=read_endpoints, scopes=frozenset({"read", "manage"})),
    DashboardPage(path="/endpoints/{id}", read=read_endpoint, scopes=frozenset({"read", "manage"})),
)
