"""Bodies that cannot be read: the client's fault, told in the provider's shape."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.simulator.simulator_client import BOT_KEY, KEY, Sim

MIRROR = ("/reelmirror/api/v1/generate", {"Authorization": f"Bearer {KEY}"})
BOT = ("/reelbot/api/v1/video/generate", {"X-API-Key": BOT_KEY})
BODY = json.dumps({"source_post_id": "image-1", "persona_id": "demo"}).encode()


async def post(
    sim: Sim, path: str, headers: Mapping[str, str], body: bytes, coding: str = "gzip"
) -> tuple[int, Any]:
    """Send bytes that claim a content coding; return status and JSON."""
    coded = {**headers, "Content-Encoding": coding, "Content-Type": "application/json"}
    async with sim.client.post(path, data=body, headers=coded) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_without_its_content_coding_is_a_400(
    sim: Sim, coding: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each provider says so in its own shape; the call is on record, and no error of the simulator's own."""
    status, body = await post(sim, *MIRROR, BODY, coding)
    assert (status, body["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "Content-Encoding" in body["error"]["message"]
    status, body = await post(sim, *BOT, BODY, coding)
    assert (status, body["success"], body["code"]) == (400, False, "VALIDATION_ERROR")
    assert "Content-Encoding" in body["message"]
    calls = (await sim.control("GET", "/requests"))["data"]
    assert [call["status"] for call in calls] == [400, 400]
    assert caplog.records == []


async def test_a_body_in_its_content_coding_is_read(sim: Sim) -> None:
    """The call begins what it would begin without."""
    status, body = await post(sim, *MIRROR, gzip.compress(BODY))
    assert (status, "generated_post_id" in body) == (202, True)


async def test_a_wrong_key_comes_before_a_broken_body(sim: Sim) -> None:
    """As it comes before every other fault of a body."""
    path, _ = MIRROR
    assert (await post(sim, path, {"Authorization": "Bearer rm_wrong"}, BODY))[0] == 401


async def test_a_control_call_without_its_content_coding_is_a_400(sim: Sim) -> None:
    """In the shape of the control API's errors."""
    status, body = await post(sim, "/_sim/faults", {}, b'{"status": 500}')
    assert status == 400
    assert "Content-Encoding" in body["error"]
    assert (await sim.control("GET", "/state"))["faults"] == []
