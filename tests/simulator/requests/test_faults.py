"""Faults that a test orders."""

import asyncio
import base64
import json
import time

import aiohttp
import pytest

from tests.simulator.simulator_client import KEY, OTHER_KEY, Sim

PATH = "/reelmirror/api/v1/sync-jobs/demo"


async def _raw(sim: Sim, *, key: str = KEY) -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {key}"}
    async with sim.client.get(PATH, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "VALIDATION_ERROR"),
        (401, "UNAUTHORIZED"),
        (402, "INSUFFICIENT_BALANCE"),
        (403, "FORBIDDEN"),
        (404, "NOT_FOUND"),
        (409, "CONFLICT"),
        (429, "RATE_LIMITED"),
        (500, "INTERNAL_ERROR"),
        (502, "UPSTREAM_ERROR"),
        (503, "SERVICE_UNAVAILABLE"),
    ],
)
async def test_each_documented_error(sim: Sim, status: int, code: str) -> None:
    """A fault answers in the vendor's shape, the given number of times."""
    await sim.control("POST", "/faults", {"status": status, "times": 1, "headers": {"Retry-After": "7"}})
    got = await sim.mirror("GET", "/sync-jobs/demo", expect=status)
    assert got.json["error"]["code"] == code
    assert got.headers["Retry-After"] == "7"
    assert "X-RateLimit-Reset" in got.headers
    await sim.mirror("GET", "/sync-jobs/demo", expect=200)


async def test_reelbot_faults_have_its_shape(sim: Sim) -> None:
    """A 503 for ReelBot only, in ReelBot's shape."""
    await sim.control("POST", "/faults", {"match": {"path_prefix": "/reelbot"}, "status": 503})
    got = await sim.bot("GET", "/status/demo", expect=503)
    assert (got.json["success"], got.json["code"]) == (False, "SERVICE_UNAVAILABLE")
    await sim.mirror("GET", "/sync-jobs/demo", expect=200)


@pytest.mark.parametrize(
    "match",
    [
        {"path_prefix": "/reelmirror/api/v1/sync-jobs"},
        {"kind": "sync_job"},
        {"id": "demo"},
        {"key": KEY},
        {"method": "GET", "kind": "sync_job"},
    ],
)
async def test_faults_apply_to_what_they_name(sim: Sim, match: dict[str, str]) -> None:
    """Every field that is set must match."""
    await sim.control("POST", "/faults", {"match": match, "status": 500})
    assert (await _raw(sim))[0] == 500
    got = await sim.mirror("GET", "/generated-posts/demo-2", key=OTHER_KEY)
    assert got.status == 200


async def test_a_fault_ends_with_its_time(sim: Sim) -> None:
    """`for_s` is wall-clock time; a fault can also be removed."""
    await sim.control("POST", "/faults", {"status": 500, "for_s": 10})
    sim.clock.now += 9.9
    assert (await _raw(sim))[0] == 500
    sim.clock.now += 0.1
    assert (await _raw(sim))[0] == 200
    fault = await sim.control("POST", "/faults", {"status": 500})
    await sim.control("POST", "/faults", {"status": 502})
    assert (await sim.control("DELETE", f"/faults/{fault['id']}"))["deleted"] is True
    assert (await _raw(sim))[0] == 502
    await sim.control("DELETE", "/faults")
    assert (await _raw(sim))[0] == 200


async def test_html_instead_of_json(sim: Sim) -> None:
    """A proxy's page instead of JSON."""
    await sim.control("POST", "/faults", {"html": True})
    status, content_type, body = await _raw(sim)
    assert (status, content_type) == (502, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")


async def test_garbage_that_claims_to_be_json(sim: Sim) -> None:
    """200, application/json, and a body that is not JSON."""
    await sim.control("POST", "/faults", {"json_garbage": True})
    status, content_type, body = await _raw(sim)
    assert (status, content_type) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


async def test_a_given_body(sim: Sim) -> None:
    """Objects are sent as JSON, text as it is."""
    await sim.control("POST", "/faults", {"body": {"data": {"status": "new_word"}}, "times": 1})
    assert (await _raw(sim))[2] == b'{"data":{"status":"new_word"}}'
    await sim.control("POST", "/faults", {"body": "[]", "status": 418})
    assert (await _raw(sim))[::2] == (418, b"[]")


async def test_a_connection_reset(sim: Sim) -> None:
    """The client sees no response, and the record says so."""
    await sim.control("POST", "/faults", {"reset": True, "times": 1})
    with pytest.raises(aiohttp.ClientError):
        await asyncio.wait_for(sim.client.session.post(sim.client.make_url(PATH), data=b"{}"), 5)
    [line] = (await sim.control("GET", "/requests"))["data"]
    assert line["status"] == 0


async def test_a_truncated_answer(sim: Sim) -> None:
    """Half of the body, then the end of the connection."""
    await sim.control("POST", "/faults", {"truncate": True})
    with pytest.raises(aiohttp.ClientPayloadError):
        await _raw(sim)


async def test_slow_answers(sim: Sim) -> None:
    """`delay_s` before the response, `drip_s` over its body; the response itself is the ordinary one."""
    for fault in ({"delay_s": 0.2, "times": 1}, {"drip_s": 0.2, "times": 1}):
        await sim.control("POST", "/faults", fault)
        began = time.monotonic()
        status, _, body = await _raw(sim)
        assert time.monotonic() - began >= 0.19
        assert (status, body[:7]) == (200, b'{"data"')


async def test_a_body_of_bytes_that_are_no_text(sim: Sim) -> None:
    """Sent as they are; what is no base64 is refused."""
    odd = b'{"data":{"name":"\xff\xfe\x00"}}'
    await sim.control("POST", "/faults", {"body_base64": base64.b64encode(odd).decode()})
    status, _, body = await _raw(sim)
    assert (status, body) == (200, odd)
    await sim.control("POST", "/faults", {"body_base64": "x"}, expect=400)


async def test_a_body_too_large(sim: Sim) -> None:
    """Spaces after the JSON: valid, and longer than anybody should read."""
    await sim.control("POST", "/faults", {"pad_bytes": 3_000_000})
    assert len((await _raw(sim))[2]) > 3_000_000
