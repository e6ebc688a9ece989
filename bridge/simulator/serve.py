"""Serve both emulated upstreams and the control API on one listener."""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.control.http import STATE
from bridge.simulator.control.routes import CONTROL_ROUTES
from bridge.simulator.reelbot import REELBOT
from bridge.simulator.reelmirror.upstream import REELMIRROR
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.pipeline import RequestPipeline
from bridge.simulator.requests.upstream_call import Upstream, UpstreamCall, UpstreamResponse, UpstreamRoute
from bridge.simulator.state.simulator_state import SimulatorState, new_state

_MAX_CONTROL_BODY = 256 * 1024 * 1024  # room for many thousands of jobs in one control call


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """How to run the simulator; port 0 takes a free one, and at `speed` 10 a documented minute lasts 6 s."""

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    seed: int = 0
    reset_unit: Literal["s", "ms"] = "s"  # of ReelMirror's X-RateLimit-Reset
    switches: Mapping[str, object] = field(default_factory=dict)


def build_app(
    config: SimulatorConfig,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the application; `clock` returns Unix seconds."""
    switches = Switches.model_validate({"rate_reset": config.reset_unit, **config.switches})
    state = new_state(clock=clock, speed=config.speed, seed=config.seed, switches=switches)
    app = web.Application(client_max_size=_MAX_CONTROL_BODY)
    app[STATE] = state
    app.add_routes(CONTROL_ROUTES)
    for upstream in (REELMIRROR, REELBOT):
        _serve_upstream(app, state, upstream, monotonic)
    return app


def _serve_upstream(
    app: web.Application, state: SimulatorState, upstream: Upstream, monotonic: Callable[[], float]
) -> None:
    pipeline = RequestPipeline(state, upstream, monotonic=monotonic)
    for route in upstream.routes:
        app.router.add_route(route.method, route.path, pipeline.make_handler(route))
    elsewhere = UpstreamRoute(
        method="*", path=upstream.prefix + "/{id:.*}", handler=_no_such_call, bucket="all"
    )
    app.router.add_route("*", elsewhere.path, pipeline.make_handler(elsewhere))


def _no_such_call(_call: UpstreamCall) -> UpstreamResponse:
    raise Problem(404, "There is no such call")


def main(config: SimulatorConfig) -> None:
    """Serve until SIGTERM or SIGINT; print one line with the address once it listens."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop factory where uvloop exists."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415  # not to be had on Windows

    return uvloop.new_event_loop


async def _serve(config: SimulatorConfig) -> None:
    gc.set_threshold(50_000, 20, 50)  # many jobs live until the end, so collecting often finds little
    runner = web.AppRunner(build_app(config), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port, backlog=1024).start()
        port = runner.addresses[0][1]
        print(f"simulator ready http://{_in_url(config.host)}:{port}", flush=True)  # noqa: T201  # whoever starts it waits for this line
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()
    finally:
        await runner.cleanup()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
