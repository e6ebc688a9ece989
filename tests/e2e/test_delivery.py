"""What the bridge does after each answer of a receiver, through real processes, checked at both ends."""

import asyncio
import itertools
import time
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from tests.e2e.processes import Behaviour, Bridge, Receiver, Simulator, running_receiver, until

pytestmark = pytest.mark.slow
numbers = itertools.count(1)


async def ended_job(simulator: Simulator) -> str:
    return await simulator.make("sync_job", set={"status": "completed"})


def answering(*statuses: int, **headers: str) -> Behaviour:
    """Answer these statuses in turn, the last one for ever."""
    left = list(statuses)

    async def behave(_request: web.Request, _body: bytes) -> web.Response:
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, text=f"said {status}", headers=headers)

    return behave


async def delivery_of(bridge: Bridge, callback: dict[str, Any]) -> dict[str, Any] | None:
    _, body = await bridge.call("GET", f"/v1/deliveries?callback_id={callback['id']}")
    return body["data"][0] if body["data"] else None


async def until_delivery(bridge: Bridge, callback: dict[str, Any], state: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        delivery = await delivery_of(bridge, callback)
        return delivery if delivery and delivery["state"] == state else None

    found = await until(reached)
    status, body = await bridge.call("GET", f"/v1/deliveries/{found['id']}")
    assert status == 200
    return dict(body)


async def test_a_failing_receiver_is_tried_again_with_the_same_id(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """500, 404, 409, then 200: four attempts of one event, all readable, none after the 2xx."""
    receiver.behaviours["/x"] = answering(500, 404, 409, 200)
    callback = await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
    got = await receiver.wait("/x", count=4)
    delivery = await until_delivery(bridge, callback, "succeeded")
    assert len({each.event_id for each in got}) == 1
    assert [each["status"] for each in delivery["attempts"]] == [500, 404, 409, 200]
    assert len(receiver.got) == 4


async def test_gone_cancels_the_callback(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> None:
    """410 ends the subscription at once."""
    receiver.behaviours["/x"] = answering(410)
    callback = await bridge.register(
        job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x", once=False
    )
    await receiver.wait("/x")
    await until_delivery(bridge, callback, "cancelled")
    _, body = await bridge.call("GET", f"/v1/callbacks/{callback['id']}")
    assert body["state"] == "cancelled"
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_never_followed(
    status: int, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The second listener is never hit, and the attempt says why."""
    async with running_receiver() as elsewhere:
        receiver.behaviours["/x"] = answering(status, 200, Location=f"{elsewhere.url}/stolen")
        callback = await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
        delivery = await until_delivery(bridge, callback, "succeeded")
        assert elsewhere.got == []
    assert delivery["attempts"][0]["status"] == status
    assert "redirect" in delivery["attempts"][0]["reason"]


async def test_a_refusing_receiver_gets_one_more_quick_try_then_the_delivery_waits_for_help(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """401 twice: parked, since the schedule here has no entry of half an hour; PATCH of the URL brings it back."""
    receiver.behaviours["/closed"] = answering(401)
    callback = await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/closed")
    delivery = await until_delivery(bridge, callback, "parked")
    assert len(receiver.at("/closed")) == 2
    assert "401" in str(delivery)

    status, _ = await bridge.call(
        "PATCH", f"/v1/callbacks/{callback['id']}", {"callback_url": f"{receiver.url}/open"}
    )
    assert status == 200
    (received,) = await receiver.wait("/open")
    assert received.event_id == receiver.at("/closed")[0].event_id


async def test_a_parked_delivery_can_be_retried_and_a_finished_event_resent(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """`retry` starts a parked one again; `resend` sends after a 2xx, marked."""
    receiver.behaviours["/x"] = answering(403, 403, 200)
    callback = await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
    delivery = await until_delivery(bridge, callback, "parked")
    status, _ = await bridge.call("POST", f"/v1/deliveries/{delivery['id']}/retry")
    assert status == 200
    got = await receiver.wait("/x", count=3)
    await until_delivery(bridge, callback, "succeeded")
    assert "webhook-resend" not in got[2].headers

    status, _ = await bridge.call("POST", f"/v1/events/{got[0].event_id}/resend")
    assert status == 200
    again = (await receiver.wait("/x", count=4))[3]
    assert (again.headers["webhook-resend"], again.event_id) == ("true", got[0].event_id)


async def test_recover_brings_back_what_was_parked(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """`recover` sends every parked delivery of the time again, each once."""
    receiver.behaviours["/x"] = answering(422, 422, 422, 422, 422, 422, 200)
    callbacks = [
        await bridge.register(
            job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x", metadata=str(i)
        )
        for i in range(3)
    ]
    for callback in callbacks:
        await until_delivery(bridge, callback, "parked")
    since = callbacks[0]["created_at"]
    status, body = await bridge.call("POST", "/v1/deliveries/recover", {"since": since})
    assert status in (200, 202), body
    for callback in callbacks:
        await until_delivery(bridge, callback, "succeeded")
    assert len(receiver.at("/x")) == 9


async def test_the_first_delivery_comes_at_least_a_second_after_the_answer(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """A job that has already ended is delivered, and not before the client has its 201."""
    job = await ended_job(simulator)
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/x")
    answered = time.time()
    (received,) = await receiver.wait("/x")
    assert 0.95 <= received.at - answered <= 3.0


async def test_a_rotated_secret_signs_beside_the_new_one(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Both signatures, newest first, one space between; either secret verifies."""
    _, before = await bridge.call("GET", "/v1/secrets/default")
    status, after = await bridge.call("POST", "/v1/secrets/default/rotate")
    assert status == 200
    await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
    (received,) = await receiver.wait("/x")
    newest, second = received.headers["webhook-signature"].split(" ")
    for secret, signature in ((after["secret"], newest), (before["secret"], second)):
        headers = {**received.headers, "webhook-signature": signature}
        standardwebhooks.Webhook(secret).verify(received.body, headers)


@pytest.mark.parametrize("payload", ["full", "thin", "flat", "cloudevents"])
async def test_every_payload_form_arrives_as_plain_json(
    payload: str, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Exactly `application/json`, whatever the form; static headers and metadata come along."""
    await bridge.register(
        job_id=await ended_job(simulator),
        callback_url=f"{receiver.url}/x",
        payload=payload,
        headers={"x-make-apikey": "open-sesame"},
        metadata={"order": 7},
    )
    (received,) = await receiver.wait("/x")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-make-apikey"] == "open-sesame"
    assert received.headers["user-agent"].startswith("reelbridge/")
    assert received.event["type"] in ("sync_job.completed", "reelbridge.sync_job.completed")


async def test_a_silent_receiver_delays_nobody_and_gets_few_attempts_at_a_time(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Thirty deliveries to an origin that never answers: two at a time at most, a healthy one is served at once."""
    in_flight = most = 0

    async def never(_request: web.Request, _body: bytes) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        try:
            await asyncio.Event().wait()
        finally:
            in_flight -= 1
        return web.Response()

    async with running_receiver() as silent:
        silent.behaviours["/x"] = never
        jobs = [await ended_job(simulator) for _ in range(30)]
        stuck = await asyncio.gather(
            *(bridge.register(job_id=job, callback_url=f"{silent.url}/x") for job in jobs)
        )
        await silent.wait("/x", count=2)
        began = time.monotonic()
        await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
        await receiver.wait("/x")
        assert time.monotonic() - began < 3.0
        assert 1 <= most <= 2
        for callback in stuck:
            await bridge.call("DELETE", f"/v1/callbacks/{callback['id']}")


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (410, "gone", "the receiver answered 410 Gone"),
        (
            409,
            "The execution has finished already.",
            "the receiver says that what waited for this has finished",
        ),
    ],
)
async def test_a_timeline_says_that_the_bridge_stopped_on_purpose(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, status: int, said: str, why: str
) -> None:
    """One attempt, no further one, and a sentence with the reason."""

    async def behave(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=status, text=said)

    receiver.behaviours["/x"] = behave
    callback = await bridge.register(job_id=await ended_job(simulator), callback_url=f"{receiver.url}/x")
    delivery = await until_delivery(bridge, callback, "cancelled")
    _, timeline = await bridge.call("GET", f"/v1/callbacks/{callback['id']}/timeline")
    texts = [entry["text"] for entry in timeline["entries"] if entry.get("id") == delivery["id"]]
    assert f"Stopped on purpose: {why}. Nothing more is sent." in texts
    assert timeline["next"] == []
    assert len(receiver.at("/x")) == 1
