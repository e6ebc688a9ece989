"""Calls through the proxy that begin work: runs, late ids, lost answers, and clients that go away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from operator import itemgetter
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator, until
from tests.e2e.proxy.start_calls import (
    Call,
    clone,
    ended_post,
    generate,
    media_item,
    post,
    retry_failed,
    voice_convert,
)

pytestmark = pytest.mark.slow


@pytest.fixture
async def switched(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The simulator, whose switches and faults are as before afterwards."""
    yield simulator
    await simulator.control("DELETE", "/switches")
    await simulator.control("DELETE", "/faults")


async def fail_once(simulator: Simulator, call: Call, **fault: Any) -> None:
    """Order what becomes of the next request of a call."""
    match = {"path_prefix": f"/{call.provider}/api{call.path}", "method": "POST"}
    await simulator.control("POST", "/faults", {"match": match, "times": 1, **fault})


async def test_a_call_says_what_it_wants_to_hear(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Events, metadata and `once` mean what they mean in a registration."""
    answer = await post(
        bridge,
        await generate(simulator),
        X_Webhook_URL=f"{receiver.url}/options",
        X_Webhook_Metadata=json.dumps({"order": "42"}),
        X_Webhook_Events="generating,completed",
        X_Webhook_Once="false",
    )
    assert (answer.status, answer.webhook) == (202, "registered")
    heard = [each.event for each in await receiver.wait("/options", count=2)]
    events = sorted(heard, key=itemgetter("sequence"))
    assert [each["type"] for each in events] == ["generated_post.generating", "generated_post.completed"]
    assert [each["metadata"] for each in events] == [{"order": "42"}] * 2


async def test_a_call_that_begins_nothing_says_so(bridge: Bridge, receiver: Receiver) -> None:
    """A URL beside another call is not silently dropped, wherever it can be seen without the body."""
    other = Call(path="/v1/nothing", body={}, kind="", ends=())
    assert (await post(bridge, other, X_Webhook_URL=receiver.url)).webhook == "none; reason=not_a_start"
    by_query = replace(other, path=f"/v1/nothing?webhook_url={receiver.url}")
    assert (await post(bridge, by_query)).webhook == "none; reason=not_a_start"
    assert "X-Webhook-Status" not in (await post(bridge, other)).headers


async def test_a_retry_of_failed_items_is_told_when_these_have_ended(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """The old failed item, still listed, does not make the new run a partial one."""
    await switched.control("PUT", "/switches", {"keep_failed_items": True})
    answer = await post(bridge, await retry_failed(switched), X_Webhook_URL=f"{receiver.url}/retry")
    assert answer.webhook == "registered"
    (got,) = await receiver.wait("/retry")
    assert got.event["type"] == "generated_post.completed"
    new = {each["new_item_id"] for each in answer.body["retried_items"]}
    assert new <= {each["id"] for each in got.event["data"]["media_items"]}


async def test_a_second_conversion_is_not_told_by_the_first(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The item reads `completed` when the second one is begun; its callback waits for a run of its own."""
    call = await voice_convert(simulator)
    await post(bridge, call, X_Webhook_URL=f"{receiver.url}/voice1")
    (first,) = await receiver.wait("/voice1")
    await post(bridge, call, X_Webhook_URL=f"{receiver.url}/voice2")
    (second,) = await receiver.wait("/voice2")
    assert [each.event["run"] for each in (first, second)] == [1, 2]
    assert second.event["type"] == "voice_conversion.completed"


async def test_an_item_that_gets_a_new_id_is_followed(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """Who watched the old item hears that it was replaced, and who asked for the new one hears of that."""
    await switched.control("PUT", "/switches", {"regenerated_item_id": "new"})
    call = await media_item(switched)
    answer = await post(bridge, call, X_Webhook_URL=f"{receiver.url}/new-item")
    (got,) = await receiver.wait("/new-item")
    assert answer.body["generated_media_item_id"] != call.known
    assert (got.event["job_id"], got.event["type"]) == (
        answer.body["generated_media_item_id"],
        "generated_media_item.completed",
    )


async def test_a_post_whose_id_comes_late_is_found(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """An answer without an id is passed on; the post is found in its persona's list, and told of."""
    await switched.control("PUT", "/switches", {"clone_answer": "late"})
    persona = (await switched.control("POST", "/personas", {}))["id"]
    call = replace(
        await clone(switched),
        body={"url": f"https://social.example/image/{uuid4()}", "persona_id": persona},
    )
    answer = await post(bridge, call, X_Webhook_URL=f"{receiver.url}/late")
    assert (answer.status, answer.webhook) == (202, "pending")
    (got,) = await receiver.wait("/late")
    assert got.event["type"] == "generated_post.completed"


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"html": True, "status": 200}])
async def test_a_failure_of_the_provider_passes_on_and_stays_open(
    bridge: Bridge, switched: Simulator, receiver: Receiver, fault: dict[str, Any]
) -> None:
    """It may have begun the work and billed it, so that the bridge goes on looking."""
    call = await generate(switched)
    await fail_once(switched, call, **fault)
    answer = await post(bridge, call, X_Webhook_URL=f"{receiver.url}/open")
    assert (answer.status, answer.webhook) == (fault["status"], "pending")
    assert "X-Reelbridge-Error" not in answer.headers


async def test_a_client_that_goes_away_is_called_back(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """The call has been begun, so that it is waited for and registered without the client."""
    call = await generate(switched)
    await fail_once(switched, call, delay_s=1.5)
    before = await count(switched, call)
    task = asyncio.create_task(post(bridge, call, X_Webhook_URL=f"{receiver.url}/gone"))

    async def arrived() -> bool:
        return await count(switched, call) > before

    await until(arrived)
    task.cancel()
    (got,) = await receiver.wait("/gone")
    assert got.event["type"] == "generated_post.completed"
    assert await count(switched, call) == before + 1


async def count(simulator: Simulator, call: Call) -> int:
    path = f"/requests?method=POST&path=/{call.provider}/api{call.path}"
    return int((await simulator.control("GET", path))["count"])


async def test_the_first_delivery_comes_after_the_answer(
    bridge: Bridge, switched: Simulator, receiver: Receiver
) -> None:
    """Also where the job that the answer names has ended already."""
    call, (job, _) = await generate(switched), await ended_post(switched, "completed")
    await fail_once(switched, call, status=202, body={"generated_post_id": job})
    answer = await post(bridge, call, X_Webhook_URL=f"{receiver.url}/ended")
    answered = time.time()
    assert answer.webhook == "registered"
    (got,) = await receiver.wait("/ended")
    assert got.event["job_id"] == job
    assert got.at > answered
