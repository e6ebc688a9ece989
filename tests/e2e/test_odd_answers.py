"""Answers that a strict reader refuses, and words that contradict each other: each job still ends as it ended."""

import base64
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator

pytestmark = pytest.mark.slow
numbers = itertools.count(1)
ENDED = '{"data":{"id":"%s","odd":%s,"status":"completed"}}'


@pytest.fixture(autouse=True)
async def calm(simulator: Simulator) -> AsyncIterator[None]:
    """Leave the upstream in order for the next test."""
    yield
    await simulator.control("DELETE", "/faults")


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("NaN", {}),
        ("1" * 6_000, {}),
        ("1", {"pad_bytes": 3_000_000}),
        ("1", {"pad_bytes": 17_000_000}),
    ],
    ids=["NaN", "6,000 digits", "3 MB of blanks", "17 MB"],
)
async def test_a_good_answer_in_an_odd_dress_ends_its_job(
    value: str, more: dict[str, Any], bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Every read shows `completed` so: it is read as the documented clients read it, and never times out."""
    job = await simulator.make("sync_job", set={"status": "running"})
    body = ENDED % (job, value)
    await simulator.control("POST", "/faults", {"match": {"id": job}, "status": 200, "body": body, **more})
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/x")
    (received,) = await receiver.wait("/x")
    assert (received.event["type"], received.event["status"]) == ("sync_job.completed", "completed")
    assert received.event["bridge"].get("truncated", False) == (more.get("pad_bytes", 0) > 16_000_000)


@pytest.mark.parametrize(
    "odd", [b"\xff", b"caf\xe9", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"],
    ids=["no UTF-8", "Latin-1", "cut off", "half of a pair", "five bytes"],
)  # fmt: skip
async def test_bytes_that_are_no_utf_8_end_their_job(
    odd: bytes, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """As the documented clients read them: the text gets replacement characters, and the status counts."""
    job = await simulator.make("sync_job", set={"status": "running"})
    body = b'{"data":{"id":"%s","title":"a%sz","status":"completed"}}' % (job.encode(), odd)
    fault = {"match": {"id": job}, "body_base64": base64.b64encode(body).decode()}
    await simulator.control("POST", "/faults", fault)
    await bridge.register(job_id=job, callback_url=f"{receiver.url}/x")
    (received,) = await receiver.wait("/x")
    assert (received.event["type"], received.event["status"]) == ("sync_job.completed", "completed")
    assert received.event["data"]["title"] == (b"a" + odd + b"z").decode(errors="replace")


async def test_what_stays_failed_has_failed(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> None:
    """A post whose items never begin, and an outgoing post without deliveries: failed, not timed out."""
    pending = {"id": f"odd{next(numbers)}", "media_type": "video", "status": "pending", "url": None}
    failed = {"status": "failed"}
    post = await simulator.make("generated_post", items=[pending], set=failed)
    outgoing = await simulator.make("outgoing_post", deliveries=[], set=failed)
    await bridge.register(generated_post_id=post, callback_url=f"{receiver.url}/post")
    await bridge.register(outgoing_post_id=outgoing, callback_url=f"{receiver.url}/outgoing")
    for path, kind in (("/post", "generated_post"), ("/outgoing", "outgoing_post")):
        (received,) = await receiver.wait(path)
        assert (received.event["type"], received.event["outcome"]) == (f"{kind}.failed", "failed")
