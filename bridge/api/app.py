"""Assemble the HTTP API from its routes."""

import socket

from aiohttp import web

from bridge.api.auth import Authenticator
from bridge.api.job_waits import JobWaits
from bridge.api.long_polls import LongPolls
from bridge.api.middleware import BODY_LIMIT, add_headers, bind, shape_errors
from bridge.api.requests.forwarded import Forwarding
from bridge.api.responses.metrics import Metrics
from bridge.api.routes import accounts, administration, callbacks, events, jobs
from bridge.api.routes import event_types as catalogue
from bridge.api.routes import registration as registering
from bridge.api.routes.docs import add_docs
from bridge.api.routes.service import open_routes
from bridge.api.routing import API, Api, Route
from bridge.services.accounts.passthrough import Passthrough
from bridge.services.context import Services

KEYED_ROUTES: tuple[Route, ...] = tuple(
    route
    for routes in (
        registering.ROUTES,
        callbacks.ROUTES,
        jobs.ROUTES,
        events.ROUTES,
        catalogue.ROUTES,
        administration.ROUTES,
        accounts.ROUTES,
    )
    for route in routes.all
)


def build_app(services: Services) -> web.Application:
    """Return the application; opening, bootstrapping and closing `services` is up to the caller."""
    settings = services.settings
    long_polls = LongPolls(services.store.feed)
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
        job_waits=JobWaits(services.store, long_polls),
    )
    app.on_shutdown.append(_end_long_polls)
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


async def _end_long_polls(app: web.Application) -> None:
    """Let long polls answer at once, because a shutdown waits for the requests in progress."""
    app[API].long_polls.end_all()
