"""Add the dashboard to an application that has the API."""

from typing import Final

from aiohttp import web

from bridge.dashboard import rendering
from bridge.dashboard.actions import accounts as account_actions
from bridge.dashboard.actions import deliveries as delivery_actions
from bridge.dashboard.actions import endpoints as endpoint_actions
from bridge.dashboard.actions import jobs as job_actions
from bridge.dashboard.actions import keys as key_actions
from bridge.dashboard.actions import tasks as task_actions
from bridge.dashboard.desk import Desk
from bridge.dashboard.live import Live
from bridge.dashboard.page import Action, DashboardPage
from bridge.dashboard.sign_in import SignIn
from bridge.dashboard.static_files import StaticFiles
from bridge.dashboard.views import (
    accounts,
    deliveries,
    endpoints,
    events,
    job,
    keys,
    now,
    search,
    settings,
    try_it,
)

PAGES: Final[tuple[DashboardPage, ...]] = (
    *now.PAGES,
    *job.PAGES,
    *events.PAGES,
    *deliveries.PAGES,
    *endpoints.PAGES,
    *accounts.PAGES,
    *try_it.PAGES,
    *search.PAGES,
    *settings.PAGES,
    *keys.PAGES,
)
ACTIONS: Final[tuple[Action, ...]] = (
    *job_actions.ACTIONS,
    *delivery_actions.ACTIONS,
    *endpoint_actions.ACTIONS,
    *account_actions.ACTIONS,
    *key_actions.ACTIONS,
    *task_actions.ACTIONS,
)


def add_dashboard(app: web.Application) -> None:
    """Add its pages, their forms, their streams and the files that they load."""
    static = StaticFiles()
    rendering.set_up(app, static)
    desk = Desk(app)
    live = Live(app, desk)

    async def end_streams(_: web.Application) -> None:
        live.waiters.end_all()

    app.on_shutdown.append(end_streams)
    SignIn(desk).add_to(app.router)
    static.add_to(app.router)
    app.router.add_get("/live", live.stream)
    for page in PAGES:
        handler = desk.serve(page)
        live.add(handler, page)
        app.router.add_get(page.path, handler, allow_head=True)
    for action in ACTIONS:
        app.router.add_post(action.path, desk.take(action))
