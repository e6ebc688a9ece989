"""The steps that every upstream request passes: rate limit, faults, key, scope, handler, journal."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from bridge.simulator.behaviour.faults import Fault
from bridge.simulator.behaviour.rate_windows import RateDecision
from bridge.simulator.requests import fault_responses
from bridge.simulator.requests.bodies import CLOSES, UNREADABLE, read_body
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import Upstream, UpstreamCall, UpstreamResponse, UpstreamRoute
from bridge.simulator.state.api_keys import mask_key
from bridge.simulator.state.journal import RequestRecord
from bridge.simulator.state.simulator_state import SimulatorState

MAX_BODY = 1_000_000
AiohttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """What rate limit, faults, key check and handler need of a request; `now` is in Unix seconds.

    `body` is None where it cannot be read.
    """

    path: str
    method: str
    key: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes | None
    now: float


class RequestPipeline:
    """Turns an upstream's routes into aiohttp handlers."""

    def __init__(
        self, state: SimulatorState, upstream: Upstream, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._upstream = upstream
        self._monotonic = monotonic

    def make_handler(self, route: UpstreamRoute) -> AiohttpHandler:
        """Return the aiohttp handler of one route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            mono, now = self._monotonic(), self._state.clock()
            body = b"" if request.method == "GET" else await read_body(request)
            received = ReceivedRequest(
                path=request.path,
                method=request.method,
                key=self._upstream.read_key(request.headers),
                ids=request.match_info,
                query=request.query if request.query_string else {},
                body=body,
                now=now,
            )
            response, headers, fault = self._respond(received, route)
            self._record(
                received, route, mono, request.query_string, 0 if fault and fault.reset else response.status
            )
            if fault is None:
                return web.Response(status=response.status, body=response.body, headers=headers)
            return await fault_responses.send_with_fault(request, fault, response, headers)

        return handle

    def _respond(
        self, received: ReceivedRequest, route: UpstreamRoute
    ) -> tuple[UpstreamResponse, dict[str, str], Fault | None]:
        state, upstream = self._state, self._upstream
        headers = {"Content-Type": "application/json"} | (CLOSES if received.body is None else {})
        fault = None
        try:
            decision = self._limit(received, route)
            if decision is not None and state.switches.rate_headers:
                headers |= upstream.rate_headers(state, decision, received.now)
            if decision is not None and not decision.allowed:
                raise upstream.rate_limited(decision)
            fault = state.faults.take_matching(
                path=received.path,
                method=received.method,
                kind=route.kind,
                job_id=received.ids.get(route.id_name),
                key=received.key,
                now=received.now,
            )
            if fault is not None and fault.answers:
                return fault_responses.replacement_response(fault, upstream.write_error), headers, fault
            response = self._call_handler(received, route)
        except Problem as problem:
            response = UpstreamResponse(problem.status, upstream.write_error(problem))
        return response, headers, fault

    def _limit(self, received: ReceivedRequest, route: UpstreamRoute) -> RateDecision | None:
        state = self._state
        allowance = self._upstream.rate_limit(state, received.key, route.bucket)
        if allowance is None or not state.switches.rate_limiter:
            return None
        limit, window_s = allowance
        whose = received.key if state.switches.rate_per == "key" else state.keys.account(received.key)
        return state.limiter.take(
            f"{self._upstream.name}:{route.bucket}:{whose}",
            limit=limit,
            window_s=window_s / state.speed,
            style=state.switches.rate_window,
            now=received.now,
        )

    def _call_handler(self, received: ReceivedRequest, route: UpstreamRoute) -> UpstreamResponse:
        state = self._state
        if not self._upstream.is_well_formed_key(received.key) or not state.keys.accepts(received.key):
            raise self._upstream.unauthorized()
        if route.scope is not None:
            scope = route.scope(state)
            documented = state.switches.default_scopes == "documented"
            if not state.keys.has_scope(received.key, scope, documented_default=documented):
                raise Problem(403, f"This key lacks the scope {scope}")
        if received.body is None:
            raise Problem(400, UNREADABLE)
        if len(received.body) > MAX_BODY:
            raise Problem(400, "The body is too large")
        call = UpstreamCall(
            state=state,
            account=state.keys.account(received.key),
            now=received.now,
            ids=received.ids,
            query=received.query,
            body=received.body,
        )
        return route.handler(call)

    def _record(
        self, received: ReceivedRequest, route: UpstreamRoute, mono: float, query: str, status: int
    ) -> None:
        self._state.journal.record(
            RequestRecord(
                round(mono * 1000, 1),
                round(received.now * 1000, 1),
                received.method,
                received.path,
                query,
                route.kind,
                received.ids.get(route.id_name),
                mask_key(received.key),
                status,
            )
        )
