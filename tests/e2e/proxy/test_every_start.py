"""Every call that begins work, with its URL in each place where it may stand."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator
from tests.e2e.proxy.start_calls import STARTS, Answer, Call, post

pytestmark = pytest.mark.slow
PLACES = ("header", "query", "field")


async def post_naming(bridge: Bridge, call: Call, url: str, place: str, **headers: str) -> Answer:
    """Make a call that names a callback URL in a place."""
    match place:
        case "header":
            return await post(bridge, call, X_Webhook_URL=url, **headers)
        case "query":
            return await post(bridge, replace(call, path=f"{call.path}?webhook_url={quote(url)}"), **headers)
        case _:
            return await post(
                bridge, replace(call, body={**(call.body or {}), "webhook_url": url}), **headers
            )


async def begin(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, name: str, place: str
) -> tuple[Call, Answer, list[dict[str, Any]]]:
    """Make a call and wait for what is called back; a job that it runs again is watched before."""
    call = await STARTS[name](simulator)
    path = f"/{name}/{place}"
    if call.known:
        known = {"kind": call.kind, "id": call.known}
        await bridge.register(**known, callback_url=f"{receiver.url}{path}/before")
        await receiver.wait(f"{path}/before")
    answer = await post_naming(bridge, call, receiver.url + path, place)
    assert (200 <= answer.status < 300, answer.headers.get("X-Webhook-Status")) == (True, "registered"), (
        answer
    )
    if call.then:
        _, callback = await bridge.call("GET", f"/v1/callbacks/{answer.callbacks[0]}")
        published = await post(bridge, Call(path=call.then.format(callback["job_id"]), kind="", ends=()))
        assert published.status == 200, published
    got = await receiver.wait(path, count=len(call.ends)) if call.ends else []
    return call, answer, [json.loads(each.body) for each in got]


@pytest.mark.parametrize("name", STARTS)
async def test_what_a_start_began_is_called_back(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, name: str
) -> None:
    """Each of its jobs has a callback of its own, and a job that ran before is told of in its next run."""
    for call, answer, events in await asyncio.gather(
        *(begin(bridge, simulator, receiver, name, place) for place in PLACES)
    ):
        callbacks = [(await bridge.call("GET", f"/v1/callbacks/{each}"))[1] for each in answer.callbacks]
        assert {each["kind"] for each in callbacks} == {call.kind}
        assert [each["type"] for each in events] == list(call.ends)
        if call.ends:
            told = {(each["bridge"]["callback_id"], each["job_id"]) for each in events}
            assert told == {(each["id"], each["job_id"]) for each in callbacks}
        assert {each["run"] for each in events} <= ({2} if call.known else {1})


@pytest.mark.parametrize("name", STARTS)
async def test_a_refused_url_sends_nothing(bridge: Bridge, simulator: Simulator, name: str) -> None:
    """It is a 400 of ours wherever it stands, and the provider has not heard of the call."""
    call = await STARTS[name](simulator)
    before = await count_posts(simulator, call)
    for place in PLACES:
        answer = await post_naming(bridge, call, "https://169.254.169.254/x", place)
        assert (answer.status, answer.headers["X-Reelbridge-Error"]) == (400, "validation_error"), answer
    assert await count_posts(simulator, call) == before


@pytest.mark.parametrize("name", STARTS)
async def test_a_refused_start_is_not_watched(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, name: str
) -> None:
    """The provider's refusal passes on as it is."""
    call = await STARTS[name](simulator)
    path = f"/{call.provider}/api{call.path}"
    fault = {"match": {"path_prefix": path, "method": "POST"}, "status": 402, "times": 1}
    await simulator.control("POST", "/faults", fault)
    answer = await post(bridge, call, X_Webhook_URL=f"{receiver.url}/refused")
    assert (answer.status, answer.webhook) == (402, "none; reason=refused")
    assert "X-Reelbridge-Error" not in answer.headers


async def count_posts(simulator: Simulator, call: Call) -> int:
    path = f"/{call.provider}/api{call.path}"
    return int((await simulator.control("GET", f"/requests?method=POST&path={quote(path)}"))["count"])
