"""One request can be followed through the log lines of all processes."""

import json
from typing import Any

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow


async def test_a_request_is_followed_from_its_answer_to_its_deliveries(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """API, poller and sender each write lines with the id that the client was told."""
    jobs = [await simulator.make("sync_job", set={"status": "completed"}) for _ in range(2)]
    status, made = await bridge.call(
        "POST", "/v1/callbacks", {"job_ids": jobs, "callback_url": receiver.url + "/logged"}
    )
    assert status == 201
    request_id = "req_" + made["id"][-8:]
    await receiver.wait("/logged", count=2)

    def find(event: str) -> list[dict[str, Any]]:
        lines = [line.partition("| ")[2] for line in bridge.process.lines if f'"{event}"' in line]
        return [each for each in map(json.loads, lines) if request_id in str(each)]

    async def are_written() -> bool:
        return len(find("delivery.attempted")) == 2

    await until(are_written)
    (registered,) = find("callback.registered")
    assert registered["callbacks"] == [each["id"] for each in made["data"]]
    written, sent = find("event.written"), find("delivery.attempted")
    assert [each["request_ids"] for each in written] == [[request_id]] * 2
    assert {each["event_id"] for each in written} == {each["event_id"] for each in sent}
    assert {each["request_id"] for each in [registered, *sent]} == {request_id}
