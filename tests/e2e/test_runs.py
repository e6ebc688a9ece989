"""A regenerated post keeps its id and starts a new run."""

import itertools
from typing import Any

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow
numbers = itertools.count(1)


def item(name: str, status: str, media: str = "image") -> dict[str, Any]:
    url = "https://cdn.example/x.jpg" if status == "completed" else None
    return {"id": name, "media_type": media, "status": status, "url": url}


async def ended_post(simulator: Simulator, *items: dict[str, Any]) -> str:
    return await simulator.make("generated_post", items=list(items), set={"status": "completed"})


async def set_items(simulator: Simulator, post: str, status: str, *items: dict[str, Any]) -> None:
    await simulator.control(
        "PATCH", f"/jobs/generated_post/{post}", {"status": status, "media_items": list(items)}
    )


async def test_a_new_run_is_told_and_the_old_ending_is_not_told_again(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """`expect: new_run` on a completed post hears only of run 2; its replaced item says so."""
    n = next(numbers)
    post = await ended_post(simulator, item(f"run{n}a", "completed"))
    await bridge.register(generated_post_id=post, callback_url=f"{receiver.url}/all", once=False)
    await bridge.register(generated_media_item_id=f"run{n}a", callback_url=f"{receiver.url}/item", once=False)
    await receiver.wait("/all")
    await receiver.wait("/item")
    await bridge.register(generated_post_id=post, callback_url=f"{receiver.url}/new", expect="new_run")

    await set_items(simulator, post, "generating", item(f"run{n}b", "generating"))
    await until(lambda: post_has_run(bridge, post, 2))
    await set_items(simulator, post, "completed", item(f"run{n}b", "completed"))

    (new,) = await receiver.wait("/new")
    assert (new.event["type"], new.event["run"]) == ("generated_post.completed", 2)
    assert [f"run{n}b"] == [each["id"] for each in new.event["data"]["media_items"]]
    runs = [each.event["run"] for each in await receiver.wait("/all", count=2)]
    assert runs == [1, 2]
    replaced = (await receiver.wait("/item", count=2))[1]
    assert replaced.event["type"] == "generated_media_item.replaced"
    assert (replaced.event["data"]["status"], replaced.event["related"]["generated_post_id"]) == (
        "completed",
        post,
    )


async def post_has_run(bridge: Bridge, post: str, run: int) -> bool:
    _, body = await bridge.call("GET", f"/v1/jobs/generated_post/{post}")
    return bool(body["run"] == run)


async def test_retried_items_mean_the_run_that_they_start(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The answer of `failed_only`, posted back with a URL: no stale `partial`, the old failed item still listed."""
    n = next(numbers)
    old, new, kept = f"retry{n}old", f"retry{n}new", f"retry{n}kept"
    post = await ended_post(simulator, item(kept, "completed"), item(old, "failed"))
    await bridge.register(generated_post_id=post, callback_url=f"{receiver.url}/first")
    (first,) = await receiver.wait("/first")
    assert first.event["type"] == "generated_post.partial"

    await bridge.register(
        status="started",
        generated_post_id=post,
        retried_items=[
            {"original_item_id": old, "new_item_id": new, "media_type": "image", "status": "pending"}
        ],
        total_cost_cents=25,
        callback_url=f"{receiver.url}/second",
    )
    items = item(kept, "completed"), item(old, "failed")
    await set_items(simulator, post, "generating", *items, item(new, "generating"))
    await until(lambda: post_has_run(bridge, post, 2))
    await set_items(simulator, post, "completed", *items, item(new, "completed"))

    (second,) = await receiver.wait("/second")
    assert (
        second.event["type"],
        second.event["run"],
        second.event["outcome"],
    ) == ("generated_post.completed", 2, "succeeded")


async def test_each_delivery_of_an_outgoing_post_is_told(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """`once: false`: one event an account, then the post's own ending; progress too for who asks for it."""
    n = next(numbers)
    pending = [
        {"id": f"dlv{n}{x}", "platform": "instagram", "username": x, "status": "pending"} for x in "ab"
    ]
    post = await simulator.make("outgoing_post", deliveries=pending, set={"status": "publishing"})
    await bridge.register(
        outgoing_post_id=post,
        callback_url=f"{receiver.url}/x",
        once=False,
        events=["publishing_delivery.*", "outgoing_post.*"],
    )
    await bridge.register(outgoing_post_id=post, callback_url=f"{receiver.url}/plain", once=False)
    await receiver.wait("/x")  # outgoing_post.publishing
    first = [{**pending[0], "status": "published"}, pending[1]]
    await simulator.control("PATCH", f"/jobs/outgoing_post/{post}", {"deliveries": first})
    await receiver.wait("/x", count=2)
    both = [first[0], {**pending[1], "status": "failed", "error_message": "token expired"}]
    await simulator.control("PATCH", f"/jobs/outgoing_post/{post}", {"deliveries": both})

    events = [each.event for each in await receiver.wait("/x", count=4)]
    assert [e["type"] for e in events[:2]] == ["outgoing_post.publishing", "publishing_delivery.published"]
    assert {"publishing_delivery.failed", "outgoing_post.partial"} == {e["type"] for e in events[2:]}
    plain = [each.event for each in await receiver.wait("/plain", count=3)]
    assert {each["id"] for each in plain} == {each["id"] for each in events[1:]}
    delivered = events[1]
    assert (f"dlv{n}a", post) == (delivered["job_id"], delivered["related"]["outgoing_post_id"])
