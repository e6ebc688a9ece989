"""What is open to all: health, metrics, the API's description."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files

from aiohttp import web

from bridge.api.openapi import build_document
from bridge.api.responses.budget_metrics import render_budgets
from bridge.api.responses.json_response import reply, to_json
from bridge.api.responses.metrics import Metrics
from bridge.api.responses.models import HealthShape, ReadinessShape
from bridge.api.routing import API, Route
from bridge.errors import Unavailable

PATIENCE_S = 3.0
TAG = "Service"
SERVER = "https://{server}"  # stands for the address until it is known
# The page may load its own two files and read the document: nothing else, from nowhere else.
DOCS_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
DOCS_FILES = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/docs.css": ("docs.css", "text/css"),
}

Open = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def show_health(_: web.Request) -> web.StreamResponse:
    """Say that the process answers"""
    answer: HealthShape = {"status": "ok"}
    return reply(answer)


async def show_readiness(request: web.Request) -> web.StreamResponse:
    """Say that the store answers too, and how many workers live"""
    services = request.app[API].services
    try:
        async with asyncio.timeout(PATIENCE_S):
            workers = await services.store.heartbeats.count(services.clock_ms())
    except TimeoutError:
        raise Unavailable("the store does not answer: try again in a moment") from None
    answer: ReadinessShape = {"status": "ok", "workers": workers}
    return reply(answer)


async def show_metrics(request: web.Request) -> web.StreamResponse:
    """Give this process's counters, and the accounts' budgets, in Prometheus' text format"""
    api = request.app[API]
    try:
        async with asyncio.timeout(PATIENCE_S):
            budgets = await render_budgets(api.services)
    except TimeoutError:
        raise Unavailable("the store does not answer: try again in a moment") from None
    return web.Response(body=api.metrics.render() + budgets, headers={"Content-Type": Metrics.content_type})


def describe(routes: Sequence[Route]) -> Open:
    """Make the handler of `/openapi.json`: written once, as clients may invent Host headers; only the address differs."""
    known: list[bytes] = []

    async def show_document(request: web.Request) -> web.StreamResponse:
        """Give this description"""
        if not known:
            known.append(to_json(build_document(routes, server=SERVER)))
        server = to_json(request.app[API].forwarding.base_url(request))
        body = known[0].replace(to_json(SERVER), server, 1)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return show_document


def serve_file(name: str, content_type: str) -> Open:
    """Make the handler of one file of the documentation page."""
    content = files("bridge.api").joinpath("pages", name).read_bytes()
    headers = {"Content-Security-Policy": DOCS_POLICY, "Cache-Control": "max-age=300"}

    async def show_file(_: web.Request) -> web.StreamResponse:
        """Give a file of the documentation page"""
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)

    return show_file


def open_routes() -> list[Route]:
    """The routes that need no key, as OpenAPI tells of them."""
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
        summary=handler.__doc__ or "",
        tag=TAG,
        scope=None,
        answers={200: shape},
    )
