"""What stops on purpose says so in the timeline, and what was not filled in is refused."""

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import Attempt, DeliveryState
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, settle, tell

REASON = "the receiver says that what waited for this has finished"


async def give_reason(api: Client, delivery: str, reason: str) -> None:
    """Write why a delivery was cancelled, as a worker does."""
    loaded = await api.services.store.load_delivery(delivery)
    assert loaded is not None
    unit = UnitOfWork(delivery[4], now_ms=api.services.clock_ms(), retention_s=3600)
    unit.put_delivery(replace(loaded.record, reason=reason), loaded)
    assert await api.services.store.committer.commit(unit.change()) == "done"


async def test_a_timeline_says_that_a_delivery_stopped_on_purpose(api: Client) -> None:
    """After a 409 with "finished already" nothing comes next, and the reader is told why."""
    made = await api.register(job_id="a")
    _, delivery = await tell(api, made)
    attempt = Attempt(
        at_ms=api.services.clock_ms(),
        status=409,
        failure=None,
        reason="status 409",
        duration_ms=3,
        excerpt="",
    )
    await settle(api, delivery, DeliveryState.CANCELLED, attempt)
    await give_reason(api, delivery, REASON)
    _, timeline = await api.call("GET", f"/v1/callbacks/{made['id']}/timeline")
    said = [entry["text"] for entry in timeline["entries"] if entry.get("id") == delivery]
    assert said[-1] == f"Stopped on purpose: {REASON}. Nothing more is sent."
    assert all(entry.get("id") != delivery for entry in timeline["next"])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"job_id": "{{ $json.body.job_id }}", "callback_url": "inbox:"}, "job_id"),
        ({"job_id": "undefined", "callback_url": "inbox:"}, "job_id"),
        ({"job_id": "1", "callback_url": "{{ $execution.resumeUrl }}"}, "callback_url"),
        ({"job_id": "1", "callback_url": "https://hooks.example.test/%7B%7Bid%7D%7D"}, "callback_url"),
        ({"job_id": "1", "webhook_url": "https://hooks.example.test/undefined"}, "callback_url"),
        ({"job_id": "1", "callback_url": "https://hooks.example.test/x?to=[object Object]"}, "callback_url"),
    ],
)
async def test_an_unfilled_template_is_a_400_that_says_so(
    api: Client, fields: dict[str, str], field: str
) -> None:
    """Registered, tested and as a change."""
    status, body = await api.call("POST", "/v1/callbacks", json=fields)
    assert (status, body["error"]["details"]["field"]) == (400, field)
    assert "a template of your tool was not filled in" in body["error"]["message"]
    assert "hooks.example.test" not in body["error"]["message"]
    if field == "callback_url":
        url = {"callback_url": fields.get("callback_url", fields.get("webhook_url"))}
        made = await api.register(job_id="2")
        for method, path in (("POST", "/v1/callbacks/test"), ("PATCH", f"/v1/callbacks/{made['id']}")):
            status, body = await api.call(method, path, json=url)
            assert (status, body["error"]["details"]["rule"]) == (400, "unfilled_template")
