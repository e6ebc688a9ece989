"""Calls through the proxy that run a post again, whose old state the provider goes on showing, or shows no more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.e2e.processes import SPEED, Bridge, Receiver, Simulator, until
from tests.e2e.proxy.start_calls import PERSONA, regenerate
from tests.e2e.proxy.start_calls import post as make

pytestmark = pytest.mark.slow

OLD_S = 3.0  # for which the provider shows the old state
SLOW_S = 1.0  # that a read of a worker, or the answer to a call, takes


@pytest.fixture
async def switched(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The simulator, whose switches and faults are as before afterwards."""
    yield simulator
    await simulator.control("DELETE", "/switches")
    await simulator.control("DELETE", "/faults")


async def order(simulator: Simulator, path: str, method: str, **fault: Any) -> None:
    """Order what becomes of the requests of a path."""
    match = {"path_prefix": f"/reelmirror/api{path}", "method": method}
    await simulator.control("POST", "/faults", {"match": match, **fault})


async def count(simulator: Simulator, path: str, method: str) -> int:
    query = f"/requests?method={method}&path=/reelmirror/api{path}"
    return int((await simulator.control("GET", query))["count"])


async def test_the_old_ending_that_a_read_under_way_shows_is_not_the_new_run(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """A worker reads the old ending meanwhile, and so does everybody for 3 s: the call hears of run 2, once."""
    call = await regenerate(switched)
    path = f"/v1/generated-posts/{call.known}"
    await switched.control("PUT", "/switches", {"rerun_shows_after_s": OLD_S * SPEED})
    await order(switched, path, "GET", delay_s=SLOW_S, times=1)
    await bridge.register(kind=call.kind, id=call.known, callback_url=f"{receiver.url}/first")

    async def is_read() -> bool:
        return await count(switched, path, "GET") > 0

    await until(is_read)
    answer = await make(bridge, call, X_Webhook_URL=f"{receiver.url}/second")
    assert answer.webhook == "registered"
    (first,) = await receiver.wait("/first")
    (second,) = await receiver.wait("/second")
    assert (first.event["run"], second.event["run"]) == (1, 2)
    old, new = ({each["id"] for each in got.event["data"]["media_items"]} for got in (first, second))
    assert old.isdisjoint(new)
    _, callback = await bridge.call("GET", f"/v1/callbacks/{answer.callbacks[0]}")
    assert callback["state"] == "ended"
    assert [got.path for got in receiver.got] == ["/first", "/second"]


async def test_a_run_that_ended_before_anybody_read_it_is_the_new_one(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """Nobody knew the post, and the first read after the call shows its new items, all done."""
    call = await regenerate(switched)
    path = f"/v1/generated-posts/{call.known}"
    await order(switched, call.path, "POST", delay_s=SLOW_S, times=1)
    before, old = await count(switched, call.path, "POST"), await list_items(switched, call.known)
    task = asyncio.create_task(make(bridge, call, X_Webhook_URL=f"{receiver.url}/fast"))

    async def was_called() -> bool:
        return await count(switched, call.path, "POST") > before

    await until(was_called)
    await order(switched, path, "GET", status=502)
    assert (await task).webhook == "registered"

    async def has_ended() -> bool:
        items = await list_items(switched, call.known)
        return bool(items) and items.keys().isdisjoint(old) and set(items.values()) == {"completed"}

    await until(has_ended)
    await switched.control("DELETE", "/faults")
    (got,) = await receiver.wait("/fast")
    assert (got.event["type"], got.event["run"]) == ("generated_post.completed", 2)


async def list_items(simulator: Simulator, post_id: str) -> dict[str, str]:
    """Return the states of a post's items as the provider lists them, without the bridge's hearing of it."""
    url = f"{simulator.url}/reelmirror/api/v1/personas/{PERSONA}/generated-posts?limit=100"
    headers = {"Authorization": "Bearer rm_" + "c" * 32}  # another key, whose limit is its own
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
        rows = (await answer.json())["data"]
    (shown,) = [each for each in rows if each["id"] == post_id]
    return {item["id"]: item["status"] for item in shown["media_items"]}
