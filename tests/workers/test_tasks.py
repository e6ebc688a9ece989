"""Many parked deliveries are brought back by real workers, each once, although one is killed in the middle."""

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from msgspec import to_builtins
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState, new_delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.events.samples import samples
from bridge.domain.ids import event_id, read_callback_job
from bridge.domain.tasks import Task, TaskState
from bridge.providers.registry import CATALOGUE
from bridge.services.deliveries.endpoint_recovery import begin_recovery
from bridge.services.deliveries.recovery import Recovery
from bridge.services.queries import load_deliveries
from bridge.services.tasks.kinds import RECOVER_DELIVERIES, RECOVER_ENDPOINT
from bridge.services.tasks.start import create_task
from tests.api.serving import Client, make_settings, serving
from tests.e2e.processes import until
from tests.store.conftest import Server
from tests.workers.worker_process import running_worker

# `make recover` sets 10,050, and goes both ways.
FEW = 600
DELIVERIES = int(os.environ.get("REELBRIDGE_RECOVER_DELIVERIES", str(FEW)))
log = structlog.get_logger()
TYPE = "sync_job.completed"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 if DELIVERIES > FEW else 180)]


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


SETTINGS = {
    "REELBRIDGE_ATTEMPT_TIMEOUT": "1",  # what the killed worker was sending is free again after 16 s
    "REELBRIDGE_LOG": "json",
}


async def park_many(api: Client, *, to_endpoint: bool) -> tuple[str, list[str]]:
    """Write events of one job, each with a parked delivery; return the subscription and the deliveries."""
    services = api.services
    made = await api.register(job_id="many")
    if to_endpoint:
        fields = {"url": "inbox:", "rate_limit_per_second": 1000}
        _, endpoint = await api.call("POST", "/v1/endpoints", json=fields)
    subscription = endpoint["id"] if to_endpoint else made["id"]
    key = read_callback_job(made["id"])
    assert key is not None
    loaded = await services.store.load_job(key)
    assert loaded is not None
    job, now_ms, units, ids = loaded.record, services.clock_ms(), [], []
    for number in range(DELIVERIES):
        event = event_id(project=job.project, key=key, born_ms=job.born_ms, run=1, fact=str(number))
        body = json.dumps({**samples(CATALOGUE, TYPE)[0], "id": event, "job_id": job.id}).encode()
        unit = services.unit_of_work(key[0])
        unit.put_event(
            EventRecord(id=event, type=TYPE, project=job.project, job=key, at_ms=now_ms, body=body)
        )
        delivery = new_delivery(
            event=event,
            job=key,
            subscription=subscription,
            project=job.project,
            lane=f"{job.project} inbox:",
            now_ms=now_ms,
        )
        unit.add_delivery(replace(delivery, state=DeliveryState.PARKED, done_ms=now_ms), 0)
        unit.drop_attempt(delivery)
        units.append(unit)
        ids.append(delivery.id)
    await services.store.committer.commit_many([unit.change() for unit in units])
    await services.store.feed.publish(job.project, [event for unit in units for event in unit.events])
    return subscription, ids


async def begin(api: Client, subscription: str) -> Task:
    if subscription.startswith("ep_"):
        walk = await begin_recovery(api.services, "prj_default", subscription, since_ms=0, until_ms=None)
        kind, wanted = RECOVER_ENDPOINT, to_builtins(walk)
    else:
        kind = RECOVER_DELIVERIES
        wanted = to_builtins(Recovery(since_ms=0, until_ms=None, state=DeliveryState.PARKED))
    return await create_task(api.services, "prj_default", kind, wanted, total=DELIVERIES)


async def states(api: Client, ids: list[str]) -> dict[str, tuple[str, int]]:
    found = await load_deliveries(api.services.store, ids)
    return {each.record.id: (str(each.record.state), each.record.tries) for each in found}


@pytest.mark.parametrize("to_endpoint", [False, True] if DELIVERIES > FEW else [False])
async def test_each_parked_delivery_is_brought_back_once_although_a_worker_is_killed(
    server: Server,
    api: Client,
    to_endpoint: bool,  # noqa: FBT001  # pytest's parameter
) -> None:
    """The next worker goes on within seconds, and every event is received once: what has arrived is not sent again."""
    subscription, ids = await park_many(api, to_endpoint=to_endpoint)

    async def read(task_id: str) -> dict[str, Any]:
        return dict((await api.call("GET", f"/v1/tasks/{task_id}"))[1])

    with running_worker(server.socket, **SETTINGS) as first:
        task = await begin(api, subscription)

        async def is_midway() -> bool:
            return bool((await read(task.id))["looked_at"] >= DELIVERIES // 10)

        await until(is_midway, within_s=60, every_s=0.002)
        os.kill(first.popen.pid, signal.SIGKILL)
    midway = await read(task.id)
    assert midway["state"] == "running", "killed too late to show anything"
    with running_worker(server.socket, **SETTINGS):
        ready = time.monotonic()

        async def goes_on() -> bool:
            return bool((await read(task.id))["resumed"] == 1)

        await until(goes_on, within_s=60)
        resumed_s = time.monotonic() - ready

        async def is_done() -> bool:
            return bool((await read(task.id))["state"] == TaskState.SUCCEEDED)

        await until(is_done, within_s=120)

        async def all_arrived() -> bool:
            return all(state == "succeeded" for state, _ in (await states(api, ids)).values())

        await until(all_arrived, within_s=240, every_s=0.5)
    tries = [tries for _, tries in (await states(api, ids)).values()]
    assert tries == [1] * DELIVERIES
    done = await read(task.id)
    assert done["looked_at"] >= DELIVERIES
    # What the killed worker had brought back in the step that it did not write down is not counted twice.
    assert DELIVERIES - 100 <= done["count"] <= DELIVERIES
    log.info("recovered", deliveries=DELIVERIES, resumed_s=round(resumed_s, 1), **done)
