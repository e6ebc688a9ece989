"""What a delivery waits for that is due or was taken, as the API tells it."""

from collections.abc import AsyncIterator

import pytest

from bridge.domain.times import iso_ms
from bridge.store import keys
from tests.api.serving import Client, make_settings, serving
from tests.store.conftest import Server
from tests.workers.attempts import Worker, make_due

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


async def overdue(api: Client) -> tuple[str, str]:
    """Return a callback and its delivery, which has been due for a while."""
    callback = await api.register(job_id="a", callback_url=URL)
    delivery = await make_due(api, callback)
    lane = (await Worker(api).read(delivery)).lane
    long_ago = api.services.clock_ms() - 5_000
    await api.services.store.redis.zadd(keys.lane(delivery[4], "dlv", lane), {delivery: long_ago})
    return callback["id"], delivery


async def told(api: Client, callback: str, delivery: str) -> tuple[str, str | None]:
    """Return the delivery's state and reason, which are the same wherever it is shown."""
    _, one = await api.call("GET", f"/v1/deliveries/{delivery}")
    _, listed = await api.call("GET", f"/v1/deliveries?callback_id={callback}")
    _, timeline = await api.call("GET", f"/v1/callbacks/{callback}/timeline")
    (coming,) = [each["text"] for each in timeline["next"] if each.get("id") == delivery]
    assert [each["reason"] for each in listed["data"]] == [one["reason"]]
    assert one["reason"] in (None, coming)
    return one["state"], one["reason"]


async def test_a_late_attempt_without_workers_says_so(api: Client) -> None:
    """Whoever forgot to start one sees it there."""
    state, reason = await told(api, *await overdue(api))
    assert state == "pending"
    assert reason == "Attempt 1 to http://127.0.0.1:9 is due and waits: no worker is running."


async def test_a_late_attempt_that_a_worker_puts_off_waits_for_a_slot(api: Client) -> None:
    """All slots for attempts that may hang are taken: it stays due, and nothing else holds it back."""
    callback, delivery = await overdue(api)
    services = api.services
    await services.store.heartbeats.beat("w", services.clock_ms())
    lane = (await Worker(api).read(delivery)).lane
    put_off = await services.store.dlv.claim(delivery[4], [(lane, 0)], most=9, page=9, lease_ms=60_000)
    assert put_off.items == ()
    state, reason = await told(api, callback, delivery)
    assert state == "pending"
    assert reason == (
        "Attempt 1 to http://127.0.0.1:9 is due and waits for a free slot of a worker; some are kept for URLs that answer."
    )


async def test_an_attempt_that_was_taken_may_wait_in_the_worker(api: Client) -> None:
    """Until it must have begun; a lease whose worker died is told as what is due."""
    callback, delivery = await overdue(api)
    worker = Worker(api)
    assert await worker.take(delivery) is not None
    state, reason = await told(api, callback, delivery)
    lane = keys.lane(delivery[4], "dlv", (await worker.read(delivery)).lane)
    ends_ms = -int(await api.services.store.redis.zscore(lane, delivery) or 0)
    begins = iso_ms(ends_ms - worker.handler.lease_ms + 5_000)
    assert state == "in_flight"
    assert (
        reason
        == f"Attempt 1 to http://127.0.0.1:9 was taken by a worker: it is in flight, or begins before {begins}."
    )
    now_ms = api.services.clock_ms()
    await api.services.store.redis.zadd(lane, {delivery: -(now_ms + 10_000)})
    assert await told(api, callback, delivery) == ("in_flight", None)
    await api.services.store.redis.zadd(lane, {delivery: -(now_ms - 5_000)})
    assert (await told(api, callback, delivery))[0] == "pending"
