"""A sync that the provider's automation began: no call names it, and its source shows that it happened."""

import pytest

from tests.e2e.processes import Bridge, Receiver, Simulator, until

pytestmark = pytest.mark.slow


async def test_a_sync_of_the_automation_is_heard_of(
    bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """The endpoint gets the source as the provider lists it, once."""
    made = await simulator.control("POST", "/personas", {})
    persona, (source,) = made["id"], made["source_ids"]
    status, endpoint = await bridge.call(
        "POST",
        "/v1/endpoints",
        {"url": f"{receiver.url}/synced", "personas": [persona], "events": ["source.synced"]},
    )
    assert status == 201, endpoint

    async def is_followed() -> bool:
        _, shown = await bridge.call("GET", f"/v1/endpoints/{endpoint['id']}")
        return bool(shown["following"]["state"] == "following" and not shown["following"]["reason"])

    async def has_listed() -> bool:
        asked = await simulator.control("GET", "/requests")
        return any(persona in each["path"] and each["path"].endswith("/sources") for each in asked["data"])

    await until(is_followed, within_s=60)
    await until(has_listed, within_s=60)
    await simulator.control("POST", "/automation", {"persona_id": persona})
    got, *_ = await receiver.wait("/synced", within_s=60)
    event = got.event
    assert (event["type"], event["job_id"], event["related"]) == (
        "source.synced",
        source,
        {"persona_id": persona},
    )
    assert event["data"]["last_synced_at"]
    await bridge.call("DELETE", f"/v1/endpoints/{endpoint['id']}")
    assert {each.event_id for each in receiver.at("/synced")} == {event["id"]}
