"""The API against its own document, with thousands of generated requests: no 5xx, and every answer as described."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from bridge.api.app import KEYED_ROUTES
from bridge.api.openapi import build_document
from bridge.api.routes.service import open_routes
from bridge.api.routing import API
from bridge.domain.deliveries.records import Attempt, DeliveryState
from tests.api.serving import BEARER, make_settings, serving, settle, tell
from tests.api.store_server import running_store

CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.unsupported_method,
)
# Fields for which generated values are nearly always refused.
_JOB = {
    "id",
    "kind",
    "job_ids",
    "generated_post_id",
    "generated_media_item_id",
    "outgoing_post_id",
    "projectId",
    "project_id",
}
_ODD = {"headers", "secret", "verify", "account_id", "persona_id", "expect"}
_ODD |= {"events", "event_types", "webhook_events_filter"}
UNLUCKY = {("POST", "/v1/callbacks"): _JOB | _ODD, ("PATCH", "/v1/callbacks/{id}"): _ODD}
NOBODY = "http://127.0.0.1:9/"  # the one URL that a test may be sent to


@dataclass
class Running:
    """A served API with something in it, in a thread of its own."""

    url: str
    ids: dict[str, str]  # first two parts of a path -> an id that exists


def _end_streams(app: web.Application) -> None:
    """Let streams end once they have begun, as where the process stops: nobody cuts them here."""
    app[API].streams.end_all()


async def _serve(socket: Path, report: Callable[[Running], None], stop: asyncio.Event) -> None:
    async with serving(make_settings(socket), prepare=_end_streams) as api:
        made = await api.register(job_id="known", callback_url="https://hooks.example.test/x?y=z")
        event, delivery = await tell(api, made)
        attempt = Attempt(
            at_ms=api.services.clock_ms(), status=503, failure=None, reason="Busy.", duration_ms=3
        )
        await settle(api, delivery, DeliveryState.PARKED, attempt)
        _, account = await api.call("GET", "/v1/accounts")
        _, key = await api.call("POST", "/v1/keys", json={"name": "other"})
        ids = {
            "/v1/callbacks": made["id"],
            "/v1/events": event,
            "/v1/deliveries": delivery,
            "/v1/accounts": account["data"][0]["id"],
            "/v1/projects": "prj_default",
            "/v1/keys": key["id"],
            "/v1/jobs": "known",
        }
        report(Running(api.url, ids))
        await stop.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve until the module's tests are over."""
    found: list[Running] = []
    up = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def report(running: Running) -> None:
        found.append(running)
        up.set()

    with running_store(tmp_path_factory.mktemp("s")) as socket:
        thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(socket, report, stop)))
        thread.start()
        assert up.wait(30), "the API did not start"
        yield found[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


SCHEMA = schemathesis.openapi.from_dict(
    build_document([*KEYED_ROUTES, *open_routes()], server="http://127.0.0.1")
)
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_its_word(name: str, running: Running) -> None:
    """Once with what was generated, once mended so that it means something."""
    operation = OPERATIONS[name]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        _confine(case)
        case.call_and_validate(base_url=running.url, checks=CHECKS, headers=BEARER)
        if _mend(case, running.ids):
            case.call_and_validate(base_url=running.url, checks=CHECKS, headers=BEARER)

    run()


def _confine(case: Any) -> None:
    """Send no test delivery anywhere else, and wait for nothing that does not come."""
    if isinstance(case.query, dict) and isinstance(case.query.get("wait"), int | float):
        case.query["wait"] = min(case.query["wait"], 0.05)
    if case.path == "/v1/callbacks/test" and isinstance(case.body, dict):
        for name in ("callback_url", "webhook_url", "url"):
            if case.body.get(name):
                case.body[name] = NOBODY
        if case.body.get("type"):
            case.body["type"] = "sync_job.failed"


def _mend(case: Any, ids: dict[str, str]) -> bool:
    """Put in what no generator finds: ids that exist, a URL that is allowed. False: there is nothing to mend."""
    known = _known_id(case.path, ids)
    if known is not None:
        case.path_parameters = {**case.path_parameters, **known}
    unlucky = UNLUCKY.get((case.method, case.path))
    if unlucky is not None and isinstance(case.body, dict):
        kept = {name: value for name, value in case.body.items() if name not in unlucky}
        case.body = {**kept, "callback_url": "inbox:"}
        if case.method == "POST":
            case.body["job_id"] = "known"
        case.media_type = "application/json"
    return known is not None or unlucky is not None


def _known_id(path: str, ids: dict[str, str]) -> dict[str, str] | None:
    prefix = "/".join(path.split("/")[:3])
    if "{type}" in path:
        return {"type": "sync_job.completed"}
    if "{id}" not in path or prefix not in ids:
        return None
    return {"id": ids[prefix], **({"kind": "sync_job"} if "{kind}" in path else {})}
