"""Run the API, the dashboard and the proxy on one address, as one process."""

import asyncio
import signal

import uvloop
from aiohttp import web

from bridge.api.app import build_app
from bridge.api.heartbeat import beating
from bridge.api.routing import API
from bridge.api.server import listening
from bridge.config.gc_tuning import tune_gc
from bridge.config.log import configure_logging
from bridge.config.settings import Settings
from bridge.container import bootstrap, open_services
from bridge.dashboard.app import add_dashboard
from bridge.http.forwarder import Forwarder
from bridge.proxy.handler import Proxy
from bridge.services.accounts.client_requests import ClientRequests
from bridge.store.queue.clock import StoreClock, following

SHUTDOWN_S = 10.0


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then wait up to SHUTDOWN_S seconds for the requests in progress."""
    clock = StoreClock()
    async with (
        open_services(settings, clock_ms=clock.now_ms, name="reelbridge-api") as services,
        following(clock, services.store.time_ms),
        beating(services),
        Forwarder() as forwarder,
    ):
        await bootstrap(services)
        app = build_app(services)
        add_dashboard(app)
        requests = ClientRequests(services)
        proxy = Proxy(app[API], forwarder, requests)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        tune_gc()
        try:
            async with listening(runner, settings, front=proxy.before):
                await stop.wait()
        finally:
            await runner.cleanup()
            await proxy.close()
            await requests.close()


def main(settings: Settings) -> None:
    """Run the API in this process until SIGINT or SIGTERM."""
    configure_logging(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)
