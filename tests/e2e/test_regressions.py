"""What was once broken, through real processes."""

import base64

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.e2e.processes import Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow

OWN, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))


async def test_a_repeated_registration_is_delivered_with_its_new_secret_and_headers(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The same URL again, with another secret: what was sealed anew can be opened by the worker."""
    job = await simulator.make("sync_job", set={"status": "running"})
    fields = {"job_id": job, "callback_url": f"{receiver.url}/again", "timeout_seconds": 600}
    first = await bridge.register(**fields, secret=OWN, headers={"x-step": "1"})
    again = {**fields, "secret": OTHER, "headers": {"x-step": "2"}}
    status, body = await bridge.call("POST", "/v1/callbacks", again)
    assert (status, body["id"]) == (200, first["id"])
    await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})
    got = (await receiver.wait("/again"))[0]
    assert got.headers["x-step"] == "2"
    Webhook(OTHER).verify(got.body, got.headers)


async def test_a_cancelled_delivery_is_recovered_as_a_resend(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """After a 410 the callback is cancelled; a person who mended the receiver gets the event all the same."""
    answers = [410, 200]

    async def gone_then_well(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=answers.pop(0))

    receiver.behaviours["/gone"] = gone_then_well
    job = await simulator.make("sync_job", set={"status": "completed"})
    callback = await bridge.register(job_id=job, callback_url=f"{receiver.url}/gone")
    await receiver.wait("/gone")

    async def in_state(state: str) -> bool:
        _, page = await bridge.call("GET", f"/v1/deliveries?callback_id={callback['id']}&state={state}")
        return bool(page["data"])

    await until(lambda: in_state("cancelled"))
    fields = {"since": callback["created_at"], "state": "cancelled"}
    status, body = await bridge.call("POST", "/v1/deliveries/recover", fields)
    assert (status, body["count"] >= 1) == (200, True)
    first, second = await receiver.wait("/gone", count=2)
    assert (first.event_id, second.headers["webhook-resend"]) == (second.event_id, "true")
    await until(lambda: in_state("succeeded"))


@pytest.mark.parametrize(
    ("key", "calls"), [({}, 2), ({"Idempotency-Key": "lost-1"}, 1)], ids=["none", "a key"]
)
async def test_an_answer_that_was_written_and_lost(
    key: dict[str, str], calls: int, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Repeated after the event went out: one more call with the same id, or none where an Idempotency-Key names both."""
    job = await simulator.make("sync_job", set={"status": "completed"})
    fields = {"job_id": job, "callback_url": f"{receiver.url}/lost"}
    status, first = await bridge.call("POST", "/v1/callbacks", fields, headers=key)
    assert status == 201
    await receiver.wait("/lost")

    async def ended() -> bool:
        return bool((await bridge.call("GET", f"/v1/callbacks/{first['id']}"))[1]["state"] == "ended")

    await until(ended)
    status, again = await bridge.call("POST", "/v1/callbacks", fields, headers=key)
    assert (status, again["id"] == first["id"]) == (201, calls == 1)
    other = await simulator.make("sync_job", set={"status": "completed"})
    await bridge.register(job_id=other, callback_url=f"{receiver.url}/after")
    got = await receiver.wait("/lost", count=calls)
    await receiver.wait("/after")  # registered last: what the repeat would cause has been sent by then
    assert len(receiver.at("/lost")) == calls
    assert len({each.event_id for each in got}) == 1
