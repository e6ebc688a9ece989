"""A sync with all that comes of it: posts that nobody registered, an approval through the proxy, deliveries."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SPEED, Bridge, Receiver, Simulator, running_bridge, until

pytestmark = pytest.mark.slow


@pytest.fixture
def own(simulator: Simulator, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge in a hurry: after a sync it waits nine seconds for its posts."""
    with running_bridge(simulator, tmp_path, REELBRIDGE_POLL_SCALE="0.01") as running:
        yield running


async def is_followed(bridge: Bridge, persona: str) -> bool:
    _, page = await bridge.call("GET", "/v1/accounts")
    rows = [each for account in page["data"] for each in account["following"]]
    return any(each["persona"] == persona and each["state"] == "following" for each in rows)


def types_at(receiver: Receiver, path: str) -> list[str]:
    return [each.event["type"] for each in receiver.at(path)]


async def test_a_sync_is_followed_to_its_deliveries_whatever_crashes(
    own: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The callback hears of each step and then, once, of the tree; workers die on the way."""
    persona = (await simulator.control("POST", "/personas", {}))["id"]
    synced = {"after_s": 0.3 * SPEED, "set": {"status": "completed"}}
    sync = await simulator.make("sync_job", persona_id=persona, set={"status": "running"}, script=[synced])
    made = await own.register(
        job_id=sync, persona_id=persona, follow=True, callback_url=f"{receiver.url}/chain"
    )
    await until(lambda: is_followed(own, persona))
    done = {"after_s": 1.5 * SPEED, "set": {"status": "completed"}, "items": {"i1": {"status": "completed"}}}
    post = await simulator.make(
        "generated_post",
        persona_id=persona,
        set={"status": "generating", "review_status": "pending_review"},
        items=[{"id": "i1", "media_type": "image", "status": "generating"}],
        script=[done],
    )

    async def heard(type_: str) -> bool:
        return type_ in types_at(receiver, "/chain")

    await until(lambda: heard("generated_post.completed"))
    for worker in own.pids("-m workers"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    status, answer = await own.call("POST", f"/reelmirror/api/v1/generated-posts/{post}/approve")
    assert status < 300, answer
    await until(lambda: heard("chain.ended"), within_s=90)
    got = [each.event for each in receiver.at("/chain")]
    closings = [each for each in got if each["type"] == "chain.ended"]
    assert len({each["id"] for each in closings}) == 1
    rows: list[dict[str, Any]] = closings[0]["data"]["jobs"]
    outgoing = rows[2]["id"]
    assert [(each["kind"], each["link"]) for each in rows] == [
        ("sync_job", "known"),
        ("generated_post", "inferred"),
        ("outgoing_post", "known"),
        ("publishing_delivery", "known"),
    ]
    assert [each["parent"] and each["parent"]["id"] for each in rows] == [None, sync, post, outgoing]
    assert (closings[0]["outcome"], closings[0]["data"]["root"]) == (
        "succeeded",
        {"kind": "sync_job", "id": sync},
    )
    assert {"sync_job.completed", "generated_post.completed", "outgoing_post.published"} <= {
        each["type"] for each in got
    }
    _, shown = await own.call("GET", f"/v1/callbacks/{made['id']}")
    assert shown["state"] == "ended"
