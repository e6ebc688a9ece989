"""An endpoint whose receiver fails: what is held back, what is shown of it, and how a person opens the way again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from bridge.store import keys
from bridge.store.queue import breaker_keys
from tests.services.endpoints.standing import create, deliveries, end_job, records, send
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

FAILURES, WAITING = 10, 3


class Switch:
    """A receiver that answers with one status, whatever comes."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 503

    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=self.status)


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    """Deliveries that have failed once wait for longer than a test lasts, and so does a URL that is left alone."""
    async with polled(server.socket, retry_schedule="600,600") as bench:
        yield bench


@pytest.fixture
async def receiver() -> AsyncIterator[Switch]:
    switch = Switch()
    app = web.Application()
    app.router.add_post("/{path:.*}", switch.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    switch.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield switch
    finally:
        await runner.cleanup()


async def held_back(bench: Bench, receiver: Switch) -> tuple[str, str]:
    """Let an endpoint fail a tenth time with three deliveries more waiting; return its id and the key of a job."""
    endpoint = await create(bench, url=f"{receiver.url}/hook")
    jobs = [await end_job(bench, f"s{number}") for number in range(1 + WAITING)]
    lane = (await records(bench, jobs[0]))[endpoint].lane
    store = bench.api.services.store
    seconds = await store.time_ms() // 1000 - 60
    await store.redis.zadd(breaker_keys.streaks(jobs[0][0]), {lane: seconds * 1000 + FAILURES - 1})
    assert await sent(bench, jobs[0], endpoint) == 1
    return endpoint, jobs[0]


async def sent(bench: Bench, key: str, subscription: str) -> int:
    """Let a worker send what is due; return how many of that were a subscription's."""
    return (await send(bench, key)).count(subscription)


async def shown(bench: Bench, endpoint: str) -> dict[str, Any]:
    """Return an endpoint's breaker, which is the same in the list."""
    _, one = await bench.api.call("GET", f"/v1/endpoints/{endpoint}")
    _, page = await bench.api.call("GET", "/v1/endpoints")
    assert [each["breaker"] for each in page["data"] if each["id"] == endpoint] == [one["breaker"]]
    return dict(one["breaker"])


async def untried(bench: Bench, endpoint: str) -> list[dict[str, Any]]:
    return [each for each in await deliveries(bench, endpoint) if not each["attempts"]]


async def test_what_waits_makes_no_attempt_and_everything_says_why(bench: Bench, receiver: Switch) -> None:
    """The endpoint, its list, the deliveries and the metrics; nobody loses a try."""
    endpoint, key = await held_back(bench, receiver)
    assert await sent(bench, key, endpoint) == 0
    breaker = await shown(bench, endpoint)
    assert (breaker["state"], breaker["failures"]) == ("open", FAILURES)
    assert breaker["opened_at"] < breaker["next_attempt_at"]
    waiting = await untried(bench, endpoint)
    assert [each["state"] for each in waiting] == ["pending"] * WAITING
    await bench.api.services.store.heartbeats.beat("w", bench.api.services.clock_ms())
    for each in await untried(bench, endpoint):
        assert "which costs no attempt: this URL has failed 10 times in a row" in each["reason"]
        assert breaker["next_attempt_at"] in each["reason"]
    async with bench.api.http.get(bench.api.url + "/metrics") as answer:
        assert "\nreelbridge_open_breakers 1.0\n" in await answer.text()


async def test_a_healthy_endpoint_is_shown_as_closed(bench: Bench, receiver: Switch) -> None:
    endpoint = await create(bench, url=f"{receiver.url}/hook")
    assert await shown(bench, endpoint) == {
        "state": "closed",
        "failures": 0,
        "opened_at": None,
        "next_attempt_at": None,
    }
    key = await end_job(bench, "s1")
    await send(bench, key)
    assert (await shown(bench, endpoint))["failures"] == 1


async def test_a_manual_retry_is_a_probe(bench: Bench, receiver: Switch) -> None:
    """The delivery that a person asks for goes, not the one that has waited longest; its failure holds the others back again."""
    endpoint, key = await held_back(bench, receiver)
    chosen, *others = await untried(bench, endpoint)  # newest first
    for expected in ("open", "closed"):
        status, _ = await bench.api.call("POST", f"/v1/deliveries/{chosen['id']}/retry")
        assert status == 200
        assert await sent(bench, key, endpoint) == 1
        assert (await shown(bench, endpoint))["state"] == expected
        assert len(await untried(bench, endpoint)) == len(others)
        receiver.status = 200
    _, found = await bench.api.call("GET", f"/v1/deliveries/{chosen['id']}")
    assert (found["state"], [each["status"] for each in found["attempts"]]) == ("succeeded", [503, 200])
    assert await sent(bench, key, endpoint) == 1, "what waits follows"


@pytest.mark.parametrize(
    "change", [{"enabled": True}, {"headers": {"x-key": "right"}}, {"url": "/elsewhere"}]
)
async def test_a_change_of_the_endpoint_opens_the_way_at_once(
    bench: Bench, receiver: Switch, change: dict[str, Any]
) -> None:
    """Who enables it, or gives it another URL or other headers, says that what failed is mended."""
    endpoint, key = await held_back(bench, receiver)
    receiver.status = 200
    body = {**change, "url": receiver.url + change["url"]} if "url" in change else change
    status, _ = await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json=body)
    assert status == 200
    assert (await shown(bench, endpoint))["state"] == "closed"
    count = 0
    while got := await sent(bench, key, endpoint):
        count += got
    restarted = "enabled" not in change  # what had failed waits for its own next attempt otherwise
    assert count == (1 + WAITING if restarted else WAITING)


async def test_recover_opens_the_way(bench: Bench, receiver: Switch) -> None:
    """What waits goes out, and what was not parked is not doubled."""
    endpoint, key = await held_back(bench, receiver)
    receiver.status = 200
    body = {"since": "2020-01-01T00:00:00Z"}
    status, answer = await bench.api.call("POST", f"/v1/endpoints/{endpoint}/recover", json=body)
    assert (status, answer["count"]) == (200, 0)
    assert (await shown(bench, endpoint))["state"] == "closed"
    assert await sent(bench, key, endpoint) == 1


async def test_a_callbacks_timeline_says_it_and_another_url_is_not_held_back(
    bench: Bench, receiver: Switch
) -> None:
    """A callback to the URL of an endpoint that fails waits too; with PATCH it goes elsewhere at once."""
    await held_back(bench, receiver)
    later = await end_job(bench, "late", callback_url=f"{receiver.url}/hook")
    (callback,) = [each for each in await records(bench, later) if each.startswith("cb_")]
    store = bench.api.services.store
    await store.redis.delete(keys.hold(callback))
    assert await sent(bench, later, callback) == 0
    await store.heartbeats.beat("w", bench.api.services.clock_ms())
    _, timeline = await bench.api.call("GET", f"/v1/callbacks/{callback}/timeline")
    assert "this URL has failed 10 times in a row" in str(timeline["next"])
    receiver.status = 200
    body = {"callback_url": f"{receiver.url}/other"}
    status, _ = await bench.api.call("PATCH", f"/v1/callbacks/{callback}", json=body)
    assert status == 200
    assert await sent(bench, later, callback) == 1
