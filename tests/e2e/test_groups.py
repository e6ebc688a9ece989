"""Jobs that are waited for together, while the processes that watch them are killed with -9."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SPEED, Bridge, Receiver, Simulator, running_bridge, until

JOBS, KILLED_AT = 8, (2, 5)  # workers are killed when so many jobs have ended

pytestmark = pytest.mark.slow


@pytest.fixture
def own(simulator: Simulator, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge whose processes may be killed."""
    with running_bridge(simulator, tmp_path) as running:
        yield running


async def test_a_group_closes_once_whatever_crashes(
    own: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Workers die while the jobs end one after the other; the callback hears once, of every job as it ended."""
    ends: list[dict[str, Any]] = [
        {"after_s": (0.3 + number * 0.4) * SPEED, "set": {"status": "failed" if number % 3 else "completed"}}
        for number in range(JOBS)
    ]
    jobs = [await simulator.make("sync_job", set={"status": "running"}, script=[end]) for end in ends]
    made = await own.register(
        job_ids=jobs, wait_for="all", callback_url=f"{receiver.url}/group", metadata={"order": "42"}
    )

    async def ended(least: int) -> bool:
        _, shown = await own.call("GET", f"/v1/callbacks/{made['id']}")
        return bool(shown["progress"]["ended"] >= least)

    for least in KILLED_AT:

        async def reached(least: int = least) -> bool:
            return await ended(least)

        await until(reached, within_s=60)
        for worker in own.pids("-m workers"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    got, *_ = await receiver.wait("/group", within_s=90)
    event = got.event
    assert (event["type"], event["outcome"], event["metadata"]) == (
        "job_group.ended",
        "partial",
        {"order": "42"},
    )
    assert [each["id"] for each in event["data"]["jobs"]] == jobs
    assert [each["status"] for each in event["data"]["jobs"]] == [end["set"]["status"] for end in ends]

    async def settled() -> bool:
        _, page = await own.call("GET", f"/v1/deliveries?callback_id={made['id']}")
        return bool([each["state"] for each in page["data"]] == ["succeeded"])

    await until(settled)
    assert {each.event_id for each in receiver.at("/group")} == {event["id"]}
    _, feed = await own.call("GET", "/v1/events?type=job_group.ended")
    assert [each["id"] for each in feed["data"]] == [event["id"]]
