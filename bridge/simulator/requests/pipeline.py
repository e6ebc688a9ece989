"""Every upstream request passes here: rate limit, faults, key, scope, handler, journal."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from bridge.simulator.behaviour.faults import Fault
from bridge.simulator.behaviour.rate_windows import Verdict
from bridge.simulator.requests import fault_responses
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import Answer, Route, Upstream, UpstreamCall
from bridge.simulator.state.api_keys import masked
from bridge.simulator.state.journal import Line
from bridge.simulator.state.simulator_state import World

MAX_BODY = 1_000_000
AiohttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as far as judging it needs."""

    path: str
    method: str
    key: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: float


class Door:
    """Turns an upstream's routes into aiohttp handlers."""

    def __init__(
        self, world: World, upstream: Upstream, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._world = world
        self._upstream = upstream
        self._monotonic = monotonic

    def handler(self, route: Route) -> AiohttpHandler:
        """Make the handler of one route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            mono, now = self._monotonic(), self._world.clock()
            body = b"" if request.method == "GET" else await request.read()
            asked = Asked(
                path=request.path,
                method=request.method,
                key=self._upstream.read_key(request.headers),
                ids=request.match_info,
                query=request.query if request.query_string else {},
                body=body,
                now=now,
            )
            given, headers, fault = self._judge(asked, route)
            self._note(asked, route, mono, request.query_string, 0 if fault and fault.reset else given.status)
            if fault is None:
                return web.Response(status=given.status, body=given.body, headers=headers)
            return await fault_responses.send(request, fault, given, headers)

        return handle

    def _judge(self, asked: Asked, route: Route) -> tuple[Answer, dict[str, str], Fault | None]:
        world, upstream = self._world, self._upstream
        headers = {"Content-Type": "application/json"}
        fault = None
        try:
            verdict = self._limit(asked, route)
            if verdict is not None and world.switches.rate_headers:
                headers |= upstream.rate_headers(world, verdict, asked.now)
            if verdict is not None and not verdict.allowed:
                raise upstream.limited(verdict)
            fault = world.faults.meet(
                path=asked.path,
                method=asked.method,
                kind=route.kind,
                job_id=asked.ids.get(route.id_name),
                key=asked.key,
                now=asked.now,
            )
            if fault is not None and fault.answers:
                return fault_responses.instead(fault, upstream.write_error), headers, fault
            given = self._ask(asked, route)
        except Problem as problem:
            given = Answer(problem.status, upstream.write_error(problem))
        return given, headers, fault

    def _limit(self, asked: Asked, route: Route) -> Verdict | None:
        world = self._world
        allowance = self._upstream.allowance(world, asked.key, route.bucket)
        if allowance is None or not world.switches.rate_limiter:
            return None
        limit, window_s = allowance
        whose = asked.key if world.switches.rate_per == "key" else world.keys.account(asked.key)
        return world.limiter.take(
            f"{self._upstream.name}:{route.bucket}:{whose}",
            limit=limit,
            window_s=window_s / world.speed,
            style=world.switches.rate_window,
            now=asked.now,
        )

    def _ask(self, asked: Asked, route: Route) -> Answer:
        world = self._world
        if not self._upstream.has_form(asked.key) or not world.keys.accepts(asked.key):
            raise self._upstream.unauthorized()
        if route.scope is not None:
            scope = route.scope(world)
            documented = world.switches.default_scopes == "documented"
            if not world.keys.has_scope(asked.key, scope, documented_default=documented):
                raise Problem(403, f"This key lacks the scope {scope}")
        if len(asked.body) > MAX_BODY:
            raise Problem(400, "The body is too large")
        call = UpstreamCall(
            world=world,
            account=world.keys.account(asked.key),
            now=asked.now,
            ids=asked.ids,
            query=asked.query,
            body=asked.body,
        )
        return route.handler(call)

    def _note(self, asked: Asked, route: Route, mono: float, query: str, status: int) -> None:
        self._world.journal.note(
            Line(
                round(mono * 1000, 1),
                round(asked.now * 1000, 1),
                asked.method,
                asked.path,
                query,
                route.kind,
                asked.ids.get(route.id_name),
                masked(asked.key),
                status,
            )
        )
