"""Calls through the proxy that begin work: what they name is called back, and they pass on as they are."""

import json
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

PERSONA = "demo-persona"


async def call(
    bridge: Bridge,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    provider: str = "reelmirror",
    **headers: str,
) -> tuple[int, dict[str, str], Any]:
    """Send a POST through the proxy; return status, headers and body."""
    sent = {
        "Authorization": f"Bearer {API_KEY}",
        **{name.replace("_", "-"): each for name, each in headers.items()},
    }
    async with (
        aiohttp.ClientSession(headers=sent) as http,
        http.post(f"{bridge.url}/{provider}/api{path}", json=body) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.json()


@pytest.mark.parametrize("place", ["header", "query", "field"])
async def test_what_a_call_began_is_called_back(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, place: str
) -> None:
    """The URL may stand in a header, in the query or in the body; the answer says what is watched."""
    url = f"{receiver.url}/{place}"
    body = {"source_post_id": str(uuid4()), "persona_id": PERSONA}
    path = "/v1/generate"
    if place == "query":
        path += f"?webhook_url={url}"
    if place == "field":
        body["webhook_url"] = url
    headers = (
        {"X_Webhook_URL": url, "X_Webhook_Metadata": json.dumps({"order": "42"})} if place == "header" else {}
    )
    status, answered, began = await call(bridge, path, body, **headers)
    assert (status, answered["X-Webhook-Status"]) == (202, "registered"), began
    got = await receiver.wait(f"/{place}")
    event = json.loads(got[0].body)
    assert (event["job_id"], event["bridge"]["callback_id"]) == (
        began["generated_post_id"],
        answered["X-Webhook-Callback-Id"],
    )
    assert event["metadata"] == ({"order": "42"} if place == "header" else None)


async def test_a_refused_url_sends_nothing(bridge: Bridge) -> None:
    """It is a 400 of ours, and the provider has not heard of the call."""
    body = {"source_post_id": str(uuid4()), "persona_id": PERSONA}
    status, headers, error = await call(
        bridge, "/v1/generate", body, X_Webhook_URL="https://169.254.169.254/x"
    )
    assert (status, headers["X-Reelbridge-Error"]) == (400, "validation_error"), error


async def test_a_call_that_begins_nothing_says_so(bridge: Bridge, receiver: Receiver) -> None:
    """A URL beside another call is not silently dropped, and a refusal of the provider makes no watch."""
    _, headers, _ = await call(bridge, "/v1/nothing", {}, X_Webhook_URL=receiver.url)
    assert headers["X-Webhook-Status"] == "none; reason=not_a_start"
    status, headers, _ = await call(bridge, "/v1/generate", {}, X_Webhook_URL=receiver.url)
    assert (400 <= status < 500, headers["X-Webhook-Status"]) == (True, "none; reason=refused")
