"""What the upstream does wrong is never taken for a job's own failure."""

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.processes import RM_KEY, SCALE, Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow
numbers = itertools.count(1)
DONE = {"status": "completed"}


@pytest.fixture(autouse=True)
async def calm(simulator: Simulator) -> AsyncIterator[None]:
    """Reset the upstream's faults after each test."""
    yield
    await simulator.control("DELETE", "/faults")
    await simulator.control("POST", f"/keys/{RM_KEY}/restore")


async def running_sync(simulator: Simulator) -> str:
    return await simulator.make("sync_job", set={"status": "running"})


async def ask(bridge: Bridge, path: str) -> Any:
    status, body = await bridge.call("GET", path)
    assert status == 200, body
    return body


async def polls_of(bridge: Bridge, callback_id: str) -> str:
    return str(await ask(bridge, f"/v1/callbacks/{callback_id}/timeline"))


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502},
        {"status": 502, "html": True},
        {"status": 503},
        {"status": 429},
        {"status": 402},
        {"status": 400},
        {"status": 409},
        {"status": 200, "json_garbage": True},
        {"status": 200, "truncate": True},
        {"status": 200, "reset": True},
        {"status": 404, "html": True},
        {"status": 403, "html": True},
        {"status": 404},
        {"status": 401},
        {"status": 403},
    ],
    ids=lambda fault: "-".join(str(each) for each in fault.values()),
)
async def test_a_passing_fault_changes_nothing(
    fault: dict[str, Any], bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """One bad answer of any sort in the middle of a job: it is read again and ends as it really ends."""
    job = await running_sync(simulator)
    callback = await bridge.register(job_id=job, callback_url=f"{receiver.url}/x", once=False)
    await until(lambda: job_seen(bridge, job))
    await simulator.control("POST", "/faults", {"match": {"id": job}, "times": 1, **fault})
    await until(lambda: fault_met(simulator))

    await simulator.control("PATCH", f"/jobs/sync_job/{job}", DONE)
    (received,) = await receiver.wait("/x")

    assert received.event["type"] == "sync_job.completed"
    assert received.event["run"] == 1
    assert callback["id"] in str(received.event["bridge"])


async def job_seen(bridge: Bridge, job: str) -> bool:
    status, body = await bridge.call("GET", f"/v1/jobs/sync_job/{job}")
    return status == 200 and body.get("status") == "running"


async def fault_met(simulator: Simulator) -> bool:
    return not (await simulator.control("GET", "/faults"))["data"]


async def test_a_refused_key_pauses_and_its_return_resumes(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """401, confirmed: one `.unauthorized`, state paused; when the key works again the job goes on and ends."""
    job = await running_sync(simulator)
    notices = await bridge.register(
        job_id=job, callback_url=f"{receiver.url}/notices", once=False, events=["*"], timeout_seconds=600
    )
    plain = await bridge.register(job_id=job, callback_url=f"{receiver.url}/plain", timeout_seconds=600)
    await until(lambda: job_seen(bridge, job))

    await simulator.control("POST", f"/keys/{RM_KEY}/revoke")
    await until(lambda: has_state(bridge, plain["id"], "paused"))
    (notice, *_) = [
        each.event
        for each in await receiver.wait("/notices", count=2)
        if each.event["type"] == "sync_job.unauthorized"
    ]
    assert (notice["outcome"], notice["error"]["code"]) == (None, "unauthorized")

    await simulator.control("POST", f"/keys/{RM_KEY}/restore")
    await simulator.control("PATCH", f"/jobs/sync_job/{job}", DONE)
    (ended,) = await receiver.wait("/plain")
    assert ended.event["type"] == "sync_job.completed"
    types = [each.event["type"] for each in receiver.at("/notices")]
    assert types.count("sync_job.unauthorized") == 1
    assert (await ask(bridge, f"/v1/callbacks/{notices['id']}"))["state"] == "watching"
    await bridge.call("DELETE", f"/v1/callbacks/{notices['id']}")


async def has_state(bridge: Bridge, callback_id: str, state: str) -> bool:
    return bool((await ask(bridge, f"/v1/callbacks/{callback_id}"))["state"] == state)


async def test_an_unknown_id_gets_a_grace(bridge: Bridge, receiver: Receiver) -> None:
    """An id that never appears ends as `.not_found`, once the grace is over and not before."""
    began = time.monotonic()
    await bridge.register(job_id=f"never-{next(numbers)}", callback_url=f"{receiver.url}/x")
    (received,) = await receiver.wait("/x")
    assert (received.event["type"], received.event["outcome"]) == ("sync_job.not_found", "unknown")
    assert time.monotonic() - began >= 60 * SCALE


async def test_a_known_job_that_vanishes_is_deleted(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """404 for a job that was there, confirmed: `.deleted`, with the last object seen."""
    job = await running_sync(simulator)
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/x")
    await until(lambda: job_seen(bridge, job))
    await simulator.control("DELETE", f"/jobs/sync_job/{job}")
    (received,) = await receiver.wait("/x")
    assert (received.event["type"], received.event["outcome"]) == ("sync_job.deleted", "deleted")
    assert (received.event["data"]["id"], received.event["data"]["status"]) == (job, "running")


async def test_a_job_without_an_end_times_out_and_ends_late(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """`.timed_out` after the watch timeout says nothing of failure; the real ending is a late event."""
    job = await running_sync(simulator)
    for path in ("once", "over"):
        await bridge.register(job_id=job, callback_url=f"{receiver.url}/{path}", timeout_seconds=1)
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/none", timeout_seconds=1, late=False)
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/all", once=False, timeout_seconds=1)
    (timed_out,) = await receiver.wait("/once")
    assert (
        timed_out.event["type"],
        timed_out.event["outcome"],
        timed_out.event["error"]["code"],
    ) == ("sync_job.timed_out", "unknown", "watch_timeout")
    await receiver.wait("/all")
    await receiver.wait("/over")
    receiver.behaviours["/over"] = answering_410
    await simulator.control("PATCH", f"/jobs/sync_job/{job}", DONE)
    for path in ("/all", "/once", "/over"):
        late = (await receiver.wait(path, count=2))[1]
        assert (late.event["type"], late.event["bridge"]["late"]) == ("sync_job.completed", True)
        assert timed_out.event["bridge"]["late"] is False
    (page,) = (await ask(bridge, f"/v1/callbacks?job_id={job}&callback_url={receiver.url}/over"))["data"]
    assert page["state"] == "ended", "a 410 to the late ending is final, and cancels nothing"
    assert [len(receiver.at(path)) for path in ("/none", "/over")] == [1, 2]


async def answering_410(_request: web.Request, _body: bytes) -> web.Response:
    """Answer as a workflow whose wait is over."""
    return web.Response(status=410)
