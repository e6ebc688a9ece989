"""Each kind of job, each way it can end: from a registration to a signed callback, through real processes."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix

from tests.e2e.processes import Bridge, Received, Receiver, Simulator

pytestmark = pytest.mark.slow
numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scripted job and the event that it must end in; times are the simulator's seconds."""

    kind: str
    event: str
    outcome: str
    make: dict[str, Any]
    named: str
    error: str | None = None
    register: dict[str, Any] = field(default_factory=dict)
    part: str | None = None  # which list of the made job holds the watched id

    @property
    def name(self) -> str:
        return self.event + ("-first-read" if not self.make.get("script") else "")


def item(name: str, media: str = "image", **fields: Any) -> dict[str, Any]:
    return {"id": name, "media_type": media, "status": "pending", **fields}


def delivery(name: str) -> dict[str, Any]:
    return {"id": name, "platform": "instagram", "username": name, "status": "pending"}


def item_set(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, **fields}


DONE: dict[str, Any] = {"status": "completed", "url": "https://cdn.example/x.jpg"}
FAILED: dict[str, Any] = {"status": "failed", "url": None, "error_message": "generation failed"}

CASES = [
    Case(
        kind="sync_job",
        event="sync_job.completed",
        outcome="succeeded",
        named="job_id",
        make={
            "kind": "sync_job",
            "script": [
                {"after_s": 5, "set": {"status": "running"}},
                {"after_s": 30, "set": {"status": "completed"}},
            ],
        },
    ),
    Case(
        kind="sync_job",
        event="sync_job.failed",
        outcome="failed",
        named="job_id",
        error="upstream_failed",
        make={
            "kind": "sync_job",
            "script": [
                {"after_s": 30, "set": {"status": "failed", "error_message": "source account is private"}}
            ],
        },
    ),
    Case(
        kind="sync_job",
        event="sync_job.skipped",
        outcome="skipped",
        named="job_id",
        make={"kind": "sync_job", "set": {"status": "skipped"}},
    ),
    Case(
        kind="sync_job",
        event="sync_job.completed",
        outcome="succeeded",
        named="job_id",
        make={"kind": "sync_job", "set": {"status": "completed"}},
    ),
    Case(
        kind="generated_post",
        event="generated_post.completed",
        outcome="succeeded",
        named="generated_post_id",
        make={
            "kind": "generated_post",
            "items": [item("{n}a"), item("{n}b", "video")],
            "script": [
                {"after_s": 20, "set": {"status": "generating"}},
                {
                    "after_s": 40,
                    "set": {
                        "status": "completed",
                        "media_items": [item("{n}a", **DONE), item("{n}b", "video", **DONE)],
                    },
                },
            ],
        },
    ),
    Case(
        kind="generated_post",
        event="generated_post.partial",
        outcome="partial",
        named="generated_post_id",
        error="items_failed",
        make={
            "kind": "generated_post",
            "items": [item("{n}a"), item("{n}b")],
            "script": [
                {
                    "after_s": 30,
                    "set": {
                        "status": "completed",
                        "media_items": [item("{n}a", **DONE), item("{n}b", **FAILED)],
                    },
                }
            ],
        },
    ),
    Case(
        kind="generated_post",
        event="generated_post.failed",
        outcome="failed",
        named="generated_post_id",
        error="items_failed",
        make={
            "kind": "generated_post",
            "items": [item("{n}a")],
            "script": [{"after_s": 30, "set": {"status": "failed", "media_items": [item("{n}a", **FAILED)]}}],
        },
    ),
    Case(
        kind="generated_media_item",
        event="generated_media_item.completed",
        outcome="succeeded",
        named="generated_media_item_id",
        make={
            "kind": "generated_media_item",
            "script": [{"after_s": 5, "set": {"status": "generating"}}, {"after_s": 30, "set": DONE}],
        },
    ),
    Case(
        kind="generated_media_item",
        event="generated_media_item.failed",
        outcome="failed",
        named="generated_media_item_id",
        error="upstream_failed",
        make={"kind": "generated_media_item", "script": [{"after_s": 30, "set": FAILED}]},
    ),
    Case(
        kind="voice_conversion",
        event="voice_conversion.completed",
        outcome="succeeded",
        named="generated_media_item_id",
        register={"kind": "voice_conversion"},
        make={
            "kind": "generated_media_item",
            "set": {**DONE, "media_type": "video", "voice_conversion_status": "processing"},
            "script": [{"after_s": 30, "set": {"voice_conversion_status": "completed"}}],
        },
    ),
    Case(
        kind="voice_conversion",
        event="voice_conversion.failed",
        outcome="failed",
        named="generated_media_item_id",
        error="upstream_failed",
        register={"kind": "voice_conversion"},
        make={
            "kind": "generated_media_item",
            "set": {**DONE, "media_type": "video", "voice_conversion_status": "processing"},
            "script": [{"after_s": 30, "set": {"voice_conversion_status": "failed"}}],
        },
    ),
    Case(
        kind="outgoing_post",
        event="outgoing_post.published",
        outcome="succeeded",
        named="outgoing_post_id",
        make={
            "kind": "outgoing_post",
            "deliveries": [delivery("{n}a")],
            "script": [{"after_s": 30, "set": {"deliveries": [{**delivery("{n}a"), "status": "published"}]}}],
        },
    ),
    Case(
        kind="outgoing_post",
        event="outgoing_post.partial",
        outcome="partial",
        named="outgoing_post_id",
        error="items_failed",
        make={
            "kind": "outgoing_post",
            "deliveries": [delivery("{n}a"), delivery("{n}b")],
            "script": [
                {
                    "after_s": 30,
                    "set": {
                        "deliveries": [
                            {**delivery("{n}a"), "status": "published"},
                            {**delivery("{n}b"), "status": "failed", "error_message": "token expired"},
                        ]
                    },
                }
            ],
        },
    ),
    Case(
        kind="outgoing_post",
        event="outgoing_post.failed",
        outcome="failed",
        named="outgoing_post_id",
        error="items_failed",
        make={
            "kind": "outgoing_post",
            "deliveries": [delivery("{n}a")],
            "script": [
                {
                    "after_s": 30,
                    "set": {
                        "deliveries": [
                            {**delivery("{n}a"), "status": "failed", "error_message": "token expired"}
                        ]
                    },
                }
            ],
        },
    ),
    Case(
        kind="reelbot_video",
        event="reelbot_video.completed",
        outcome="succeeded",
        named="projectId",
        make={
            "kind": "reelbot_video",
            "script": [
                {"after_s": 10, "set": {"status": "processing"}},
                {"after_s": 30, "set": {"status": "completed", "outputKey": "users/u/o.mp4"}},
            ],
        },
    ),
    Case(
        kind="reelbot_video",
        event="reelbot_video.failed",
        outcome="failed",
        named="projectId",
        error="upstream_failed",
        make={
            "kind": "reelbot_video",
            "script": [{"after_s": 30, "set": {"status": "failed", "error": "B-roll missing"}}],
        },
    ),
]


def numbered(value: Any, number: int) -> Any:
    """Put a test's number into the ids of a script, so that no two tests share an item."""
    if isinstance(value, str):
        return value.replace("{n}", f"part{number}")
    if isinstance(value, dict):
        return {name: numbered(each, number) for name, each in value.items()}
    return [numbered(each, number) for each in value] if isinstance(value, list) else value


async def default_secret(bridge: Bridge) -> str:
    _, body = await bridge.call("GET", "/v1/secrets/default")
    return str(body["secret"])


def judge_signature(secret: str, received: Received) -> None:
    """Check a signature with the published libraries instead of our own code."""
    headers = {name: value for name, value in received.headers.items() if name.startswith("webhook-")}
    standardwebhooks.Webhook(secret).verify(received.body, headers)
    svix.Webhook(secret).verify(received.body, headers)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_ending_reaches_the_receiver_signed(
    case: Case, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """A job of each kind that ends in each way gives its ending event once, signed, with the upstream's object."""
    number = next(numbers)
    job_id = await simulator.make(**numbered(case.make, number))

    registered = await bridge.register(
        **{case.named: job_id, "callback_url": f"{receiver.url}/done?x=%2F1", "metadata": {"order": "42"}},
        **case.register,
    )
    (received,) = await receiver.wait("/done?x=%2F1")

    event = received.event
    assert (case.event, case.outcome, case.kind, job_id) == (
        event["type"],
        event["outcome"],
        event["object"],
        event["job_id"],
    )
    assert event["metadata"] == {"order": "42"}
    assert registered["id"] == event["bridge"]["callback_id"]
    assert job_id == event["data"]["id"]
    assert case.error == (event["error"] or {}).get("code")
    assert received.headers["content-type"] == "application/json"
    assert received.event_id == event["id"]
    judge_signature(await default_secret(bridge), received)
    assert datetime.fromisoformat(event["timestamp"]).tzinfo == UTC
    await until_state(bridge, registered["id"], "ended")
    assert len(receiver.got) == 1


async def until_state(bridge: Bridge, callback_id: str, state: str) -> dict[str, Any]:
    status, body = await bridge.call("GET", f"/v1/callbacks/{callback_id}")
    assert status == 200
    assert state == body["state"]
    return dict(body)
