"""Assemble the HTTP API from its routes."""

import socket
from collections.abc import AsyncIterator

from aiohttp import web

from bridge.api.auth import Authenticator
from bridge.api.middleware import add_headers, bind, shape_errors
from bridge.api.requests.forwarded import Forwarding
from bridge.api.responses.metrics import Metrics
from bridge.api.routes import (
    accounts,
    administration,
    callbacks,
    endpoints,
    events,
    feed,
    jobs,
    tasks,
    wake_ups,
)
from bridge.api.routes import event_types as catalogue
from bridge.api.routes import registration as registering
from bridge.api.routes.docs import add_docs
from bridge.api.routes.service import open_routes
from bridge.api.routing import API, BODY_LIMIT, Api, Route
from bridge.api.waiting.event_stream import STREAM_TIMING, StreamTiming
from bridge.api.waiting.feed_news import FeedNews
from bridge.api.waiting.job_waits import JobWaits
from bridge.api.waiting.waiters import LONG_POLLS, STREAMS, Waiters
from bridge.services.accounts.passthrough import Passthrough
from bridge.services.context import Services

KEYED_ROUTES: tuple[Route, ...] = tuple(
    route
    for routes in (
        registering.ROUTES,
        callbacks.ROUTES,
        jobs.ROUTES,
        endpoints.ROUTES,
        feed.ROUTES,
        wake_ups.ROUTES,
        events.ROUTES,
        tasks.ROUTES,
        catalogue.ROUTES,
        administration.ROUTES,
        accounts.ROUTES,
    )
    for route in routes.all
)


def build_app(services: Services, *, stream_timing: StreamTiming = STREAM_TIMING) -> web.Application:
    """Return the application; opening, bootstrapping and closing `services` is up to the caller."""
    settings = services.settings
    long_polls, streams = Waiters(LONG_POLLS), Waiters(STREAMS)
    feed_news = FeedNews(services.store.feed, (long_polls, streams))
    app = web.Application(middlewares=[shape_errors], client_max_size=BODY_LIMIT)
    api = app[API] = Api(
        services=services,
        authenticator=Authenticator(
            services.store.apikeys, passthrough=Passthrough(services) if settings.passthrough else None
        ),
        forwarding=Forwarding(
            settings.trusted_proxies,
            public_url=settings.public_url,
            base_url=settings.base_url,
            every_address=settings.is_wildcard,
            own_names=(socket.gethostname(), socket.gethostname().partition(".")[0]),
        ),
        metrics=Metrics(),
        long_polls=long_polls,
        streams=streams,
        feed_news=feed_news,
        job_waits=JobWaits(services.store, long_polls, feed_news),
        stream_timing=stream_timing,
    )
    app.cleanup_ctx.append(_hear_feeds)
    app.on_shutdown.append(_end_waiting)
    app.on_response_prepare.append(add_headers)
    handlers = [
        *((route, bind(route, api)) for route in KEYED_ROUTES),
        *((route, route.handler) for route in open_routes()),
    ]
    # A slash too many at the end is forgiven; a redirect would lose the body of a POST. These come last, so that no
    # lookup of an ordinary path takes longer.
    for ending in ("", "/"):
        for route, handler in handlers:
            app.router.add_route(route.method, route.path + ending, handler)
    add_docs(app.router, [*KEYED_ROUTES, *open_routes()])
    return app


async def _hear_feeds(app: web.Application) -> AsyncIterator[None]:
    async with app[API].feed_news.listening():
        yield


async def _end_waiting(app: web.Application) -> None:
    """Let long polls answer and streams end at once, because a shutdown waits for the requests in progress."""
    app[API].long_polls.end_all()
    app[API].streams.end_all()
