"""One thing is spoken of as one."""

import re

from bridge.domain.deliveries.records import DeliveryState
from tests.api.serving import Client, settle, tell
from tests.dashboard.visitor import Visitor


async def read(visitor: Visitor, path: str) -> str:
    """Return a page's text, without tags and line ends."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", (await visitor.get(path)).text))


async def finish(api: Client, job_id: str, state: DeliveryState) -> None:
    """Register a job, and write its end with a delivery in this state."""
    _, delivery = await tell(api, await api.register(job_id=job_id))
    await settle(api, delivery, state)


async def test_one_parked_delivery_is_recovered(api: Client, visitor: Visitor) -> None:
    """And one that matches is left out; two are many."""
    await finish(api, "1", DeliveryState.PARKED)
    page = await read(visitor, "/deliveries/recover")
    assert "Recover 1 delivery " in page
    assert re.search(r"1 parked delivery matches, of \S+ \S+ UTC\. It is sent once more, and starts", page)
    await finish(api, "2", DeliveryState.SUCCEEDED)
    page = await read(visitor, "/deliveries/recover?state=parked,succeeded")
    assert "1 that matches is left out: it is not parked" in page
    await finish(api, "3", DeliveryState.PARKED)
    page = await read(visitor, "/deliveries/recover")
    assert "Recover 2 deliveries" in page
    assert "2 parked deliveries match, the oldest of" in page


async def test_one_delivery_was_looked_at(api: Client, visitor: Visitor) -> None:
    """Where it is all that there is, and does not match."""
    await finish(api, "1", DeliveryState.SUCCEEDED)
    assert "1 delivery was looked at" in await read(visitor, "/deliveries?state=any&answer=4xx")
    await finish(api, "2", DeliveryState.SUCCEEDED)
    assert "2 deliveries were looked at" in await read(visitor, "/deliveries?state=any&answer=4xx")


async def test_one_attempt_was_answered(api: Client, visitor: Visitor) -> None:
    """On the page of an endpoint, below the picture and in its description."""
    _, made = await api.call("POST", "/v1/endpoints", json={"url": "inbox:"})
    _, me = await api.call("GET", "/v1/me")
    tallies = api.services.store.tallies
    now_ms = api.services.clock_ms()
    tallies.note_attempt(
        me["project"]["id"], verdict="retry", endpoint=made["id"], ok=True, lag_ms=None, now_ms=now_ms
    )
    await tallies.flush()
    shown = (await visitor.get(f"/endpoints/{made['id']}")).text
    assert shown.count("1 attempt answered with 2xx") == 2
    assert "1 attempts" not in shown


async def test_one_job_may_be_waited_for_as_a_group(api: Client, visitor: Visitor) -> None:
    """The life of the group names one job."""
    made = await api.register(job_ids=["a"], wait_for="all")
    assert "Registered for 1 job; what comes is kept" in await read(
        visitor, f"/jobs/job_group/{made['job_id']}"
    )
    made = await api.register(job_ids=["a", "b"], wait_for="all")
    page = await read(visitor, f"/jobs/job_group/{made['job_id']}")
    assert "Registered for 2 jobs together; what comes is kept" in page
