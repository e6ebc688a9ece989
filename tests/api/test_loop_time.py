"""No request of at most 64 KB holds the event loop for long, whatever it is made of: other requests wait meanwhile."""

import gc
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.api.app import KEYED_ROUTES
from bridge.api.routes.service import open_routes
from tests.api.hostile_requests import JSON, SIZE, Hostile, hostile_requests, other_requests, plain, register
from tests.api.loop_meter import LoopMeter, metered_api

# The worst request that is accepted takes about 12 times as long as a plain registration, 0.9 ms on the machine where
# this was written; quadratic costs take 30 to 90 times as long. `python -m tests.bench.loop_time` shows milliseconds.
MAX_RATIO = 25
ROUNDS = 6


@pytest.fixture(scope="module")
def meter(store_socket: Path) -> Iterator[LoopMeter]:
    """An API on its own store server's empty database, without pauses of the garbage collector."""
    with metered_api(store_socket) as running:
        gc.collect()
        gc.disable()
        try:
            yield running
        finally:
            gc.enable()


@pytest.fixture(scope="module")
def limit_ms(meter: LoopMeter) -> float:
    """So long may a request hold the loop, as a multiple of what a plain registration does."""
    for number in range(5):
        meter.hold_ms(register(number))
    return MAX_RATIO * statistics.median(meter.hold_ms(register(number))[0] for number in range(20))


def find_slow(meter: LoopMeter, limit_ms: float, requests: Iterator[Hostile]) -> dict[str, str]:
    """Give those that hold the loop for longer than the limit each time, with milliseconds and status."""
    slow = {}
    for request in requests:
        hold_ms, status = meter.hold_ms(request.sent, rounds=ROUNDS, enough_ms=limit_ms)
        assert status < 500, request.name
        if hold_ms > limit_ms:
            slow[request.name] = f"{hold_ms:.0f} ms of {limit_ms:.0f} ms, status {status}"
    return slow


def test_the_documents_are_built_beside_the_loop(meter: LoopMeter, limit_ms: float) -> None:
    """The first request for each is measured: what is built once must not be built on the loop."""
    for path in (
        b"/openapi.json",
        b"/openapi-2.0.json",
        b"/asyncapi.json",
        b"/v1/event-types",
        b"/docs",
        b"/metrics",
    ):
        hold_ms, status = meter.hold_ms(plain("GET", path))
        assert status == 200
        assert hold_ms <= limit_ms, path


# Its answer does not end, for which the meter would wait.
ENDLESS = "/v1/events/stream"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "route",
    [each for each in (*KEYED_ROUTES, *open_routes()) if each.path != ENDLESS],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_no_request_to_a_route_holds_the_loop(meter: LoopMeter, limit_ms: float, route: object) -> None:
    """The worst bodies, queries, headers and ids that are known."""
    assert find_slow(meter, limit_ms, hostile_requests(route)) == {}  # type: ignore[arg-type]  # pytest's parameter


def test_no_request_to_any_path_holds_the_loop(meter: LoopMeter, limit_ms: float) -> None:
    """Paths without a route, odd framing, and one request that makes many callbacks."""
    requests = list(other_requests())
    assert max(len(each.sent) for each in requests) < SIZE * 1.1
    assert find_slow(meter, limit_ms, iter(requests)) == {}


def test_the_metrics_of_many_accounts_do_not_hold_the_loop(meter: LoopMeter, limit_ms: float) -> None:
    """Hundreds of budgets are read in steps, and written as text beside the loop."""
    for number in range(500):
        body = b'{"provider":"reelmirror","credential":"rm_%032d"}' % number
        _, status = meter.hold_ms(plain("POST", b"/v1/accounts", headers=JSON, body=body))
        assert status == 201
    for path in (b"/metrics", b"/v1/accounts?limit=100"):
        hold_ms, status = meter.hold_ms(plain("GET", path), rounds=ROUNDS, enough_ms=limit_ms)
        assert status == 200
        assert hold_ms <= limit_ms, path
