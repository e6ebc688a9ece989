"""Changes in the middle of an attempt, through real processes, checked at both ends."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.processes import Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def held(receiver: Receiver) -> "asyncio.Future[int]":
    """Let `/old` answer only when a status is set on what is returned."""
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def behave(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=await answer)

    receiver.behaviours["/old"] = behave
    return answer


async def begun(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> tuple[dict[str, Any], str]:
    """Return a callback and its delivery, of which the first attempt is in flight."""
    job = await simulator.make("sync_job", set={"status": "completed"})
    callback = await bridge.register(job_id=job, callback_url=f"{receiver.url}/old")
    await receiver.wait("/old")
    _, page = await bridge.call("GET", f"/v1/deliveries?callback_id={callback['id']}")
    assert page["data"][0]["state"] == "in_flight"
    return callback, page["data"][0]["id"]


async def until_state(bridge: Bridge, delivery: str, state: str, attempts: int) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        _, seen = await bridge.call("GET", f"/v1/deliveries/{delivery}")
        return seen if (seen["state"], len(seen["attempts"])) == (state, attempts) else None

    return dict(await until(reached))


async def test_a_new_url_waits_for_the_attempt_to_the_old_one(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, held: "asyncio.Future[int]"
) -> None:
    """Nothing goes to it beside that attempt, everything after it; both are on record."""
    callback, delivery = await begun(bridge, simulator, receiver)
    change = {"callback_url": f"{receiver.url}/new"}
    assert (await bridge.call("PATCH", f"/v1/callbacks/{callback['id']}", change))[0] == 200
    assert (await bridge.call("POST", f"/v1/deliveries/{delivery}/retry"))[0] == 200
    job = await simulator.make("sync_job", set={"status": "completed"})
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/other")
    await receiver.wait("/other")  # the workers go on meanwhile
    assert receiver.at("/new") == []
    _, page = await bridge.call("GET", f"/v1/deliveries?callback_id={callback['id']}")
    assert (page["data"][0]["state"], len(page["data"][0]["attempts"])) == ("in_flight", 0)
    held.set_result(503)
    await receiver.wait("/new")
    seen = await until_state(bridge, delivery, "succeeded", 2)
    assert [each["status"] for each in seen["attempts"]] == [503, 200]
    assert len(receiver.at("/old")) == 1


async def test_a_deleted_callbacks_attempt_ends_on_record(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, held: "asyncio.Future[int]"
) -> None:
    """And nothing follows it."""
    callback, delivery = await begun(bridge, simulator, receiver)
    assert (await bridge.call("DELETE", f"/v1/callbacks/{callback['id']}"))[0] == 200
    held.set_result(500)
    seen = await until_state(bridge, delivery, "cancelled", 1)
    assert (seen["attempts"][0]["status"], seen["reason"]) == (500, "the callback was deleted")
    assert len(receiver.got) == 1
