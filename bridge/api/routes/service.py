"""Routes of health, readiness and metrics, which need no API key."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.api.responses.budget_metrics import load_budgets, render_budgets
from bridge.api.responses.json_response import reply
from bridge.api.responses.master_keys import view_master_keys
from bridge.api.responses.metrics import Metrics
from bridge.api.responses.models import HealthShape, ReadinessShape
from bridge.api.responses.queue_metrics import load_queues, render_queues
from bridge.api.responses.tally_metrics import load_tallies, render_tallies
from bridge.api.routing import API, Route
from bridge.errors import Unavailable

STORE_TIMEOUT_S = 3.0
SILENT_MS = 10_000  # of this process, after which the store is not believed to take writes: three heartbeats
TAG = "Service"
Open = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def show_health(_: web.Request) -> web.StreamResponse:
    """Report that the process answers."""
    answer: HealthShape = {"status": "ok"}
    return reply(answer)


async def show_readiness(request: web.Request) -> web.StreamResponse:
    """Report that the store answers and takes writes, how many workers beat, and what each master key holds.

    That it takes writes shows in this process's own heartbeat, so that the question itself writes nothing.
    """
    services = request.app[API].services
    now_ms = services.clock_ms()
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            workers = await services.store.heartbeats.count(now_ms)
            beat_ms = await services.store.api_heartbeats.last_ms(services.process)
            usage = await services.store.key_usage.load()
    except TimeoutError:
        raise Unavailable("the store does not answer: try again in a moment") from None
    if beat_ms and now_ms - beat_ms > SILENT_MS:
        raise Unavailable("the store takes no writes, as on a full disk: its log says why")
    details = view_master_keys(services.store.vault.key_ids, usage)
    answer: ReadinessShape = {"status": "ok", "workers": workers, "details": details}
    return reply(answer)


async def show_metrics(request: web.Request) -> web.StreamResponse:
    """Return this process's counters, those of all, the queues' lag and the accounts' rate budgets in Prometheus' text format."""
    api = request.app[API]
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            budgets = await load_budgets(api.services)
            queues = await load_queues(api.services)
            tallies = await load_tallies(api.services)
    except TimeoutError:
        raise Unavailable("the store does not answer: try again in a moment") from None
    # In a thread, because the text of many accounts takes longer than other requests should wait.
    body = await asyncio.to_thread(
        lambda: (
            api.metrics.render() + render_queues(queues) + render_tallies(tallies) + render_budgets(budgets)
        )
    )
    return web.Response(body=body, headers={"Content-Type": Metrics.content_type})


def open_routes() -> list[Route]:
    """Return the routes that need no API key."""
    return [
        _open("/healthz", show_health, HealthShape),
        _open("/readyz", show_readiness, ReadinessShape),
        _open("/metrics", show_metrics, "text/plain"),
    ]


def _open(path: str, handler: Open, shape: object) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        name=getattr(handler, "__name__", path),
        summary=(handler.__doc__ or "").partition("\n")[0].rstrip("."),
        tag=TAG,
        scope=None,
        answers={200: shape},
    )
