"""Endpoints whose receivers take nothing: a warning, the end a day later, and what the other endpoints and /v1/me hear of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.domain.subscriptions.endpoint_trouble import DAY_MS
from bridge.domain.times import iso_ms
from bridge.services.reachability import Reachability
from bridge.store import endpoint_keys
from tests.services.endpoints.standing import create, deliveries, end_job, inbox, records, send
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

DEAD = "http://127.0.0.1:9/dead"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    """One retry only."""
    async with polled(server.socket, retry_schedule="0.001") as bench:
        yield bench


async def known(bench: Bench, endpoint: str) -> dict[str, Any]:
    found = await bench.api.services.store.endpoint_troubles.load("prj_default", [endpoint])
    return {} if endpoint not in found else {"failed": found[endpoint].failed, "days": found[endpoint].days}


async def remember(bench: Bench, endpoint: str, **fields: int) -> None:
    """Write what was known of an endpoint before."""
    key = endpoint_keys.trouble("prj_default", endpoint)
    await bench.api.services.store.redis.hset(key, mapping=dict(fields))  # type: ignore[misc]  # redis-py


async def heard(bench: Bench, type_: str) -> list[dict[str, Any]]:
    """Return what the inbox has got of a type."""
    return [each["body"] for each in await inbox(bench) if each["body"]["type"] == type_]


async def warnings(bench: Bench) -> list[tuple[str, str]]:
    _, me = await bench.api.call("GET", "/v1/me")
    return [(each["code"], each["endpoint_id"]) for each in me["warnings"]]


async def test_a_delivery_that_is_given_up_is_told_to_the_other_endpoints(bench: Bench) -> None:
    """Once, to those who ask for it, in the feed too, and it makes no further one when it is given up itself."""
    dead = await create(bench, url=DEAD, events="*")
    other = await create(bench, events="delivery.parked")
    key = await end_job(bench, "s1")
    while (await records(bench, key))[dead].state == "pending":
        await send(bench, key)
    await send(bench, key)
    (parked,) = await heard(bench, "delivery.parked")
    (given_up,) = [each for each in await deliveries(bench, dead) if each["state"] == "parked"]
    assert parked["data"] == {
        "id": given_up["id"],
        "status": "parked",
        "event_id": given_up["event_id"],
        "event_type": "sync_job.completed",
        "subscription_id": dead,
        "attempts": 2,
        "reason": given_up["reason"],
    }
    assert parked["bridge"]["endpoint_id"] == other
    assert len(await deliveries(bench, dead)) == 1, "the endpoint itself is not told"
    _, page = await bench.api.call("GET", "/v1/events?type=delivery.parked")
    assert [each["id"] for each in page["data"]] == [parked["id"]]
    status, again = await bench.api.call("POST", f"/v1/endpoints/{dead}/recover", json={"since": iso_ms(0)})
    assert (status, again["count"]) == (200, 1)


async def test_a_dead_endpoint_is_warned_of_and_disabled_a_day_later(bench: Bench) -> None:
    """Enabled again it begins anew, and recover brings back what was kept."""
    dead = await create(bench, url=DEAD)
    await create(bench, events="endpoint.*")
    now_ms = bench.api.services.clock_ms()
    await remember(bench, dead, since=now_ms - 4 * DAY_MS, failed=19, days=2, day=1)
    key = await end_job(bench, "s1")
    await send(bench, key)
    assert await warnings(bench) == [("endpoint_failing", dead)]
    await send(bench, key)
    (warned,) = await heard(bench, "endpoint.failing")
    assert (warned["data"]["id"], warned["data"]["status"]) == (dead, "failing")
    assert warned["data"]["failing_since"] == iso_ms(now_ms - 4 * DAY_MS)
    assert warned["data"]["disabled_at"] >= iso_ms(now_ms + DAY_MS)

    later = await end_job(bench, "s2")
    await remember(bench, dead, since=now_ms - 5 * DAY_MS)
    await send(bench, later)
    assert (await bench.api.call("GET", f"/v1/endpoints/{dead}"))[1]["enabled"] is True, "warned just now"
    await remember(bench, dead, warned=now_ms - DAY_MS)
    last = await end_job(bench, "s3")
    while (await records(bench, last))[dead].tries == 0:  # one at a time, and an older one comes first
        await send(bench, later)
        await send(bench, last)
    _, view = await bench.api.call("GET", f"/v1/endpoints/{dead}")
    assert (view["enabled"], view["disabled_reason"]) == (
        False,
        "no event was answered with 2xx for 5 days",
    )
    await send(bench, last)
    (disabled,) = await heard(bench, "endpoint.disabled")
    assert (disabled["data"]["id"], disabled["data"]["status"]) == (dead, "disabled")
    assert await warnings(bench) == [("endpoint_disabled", dead)]

    await bench.api.call("PATCH", f"/v1/endpoints/{dead}", json={"enabled": True, "url": "inbox:"})
    assert (await warnings(bench), await known(bench, dead)) == ([], {})
    await bench.api.call("POST", f"/v1/endpoints/{dead}/recover", json={"since": iso_ms(0)})
    assert {each["state"] for each in await deliveries(bench, dead)} <= {"pending", "succeeded"}


async def test_what_counts_as_a_failure(bench: Bench) -> None:
    """The first attempts of deliveries, until a 2xx; not retries, and not what is sent again."""
    dead = await create(bench, url=DEAD)
    first = await end_job(bench, "s1")
    await send(bench, first)
    assert await known(bench, dead) == {"failed": 1, "days": 1}
    await send(bench, first)
    await send(bench, first)
    assert await known(bench, dead) == {"failed": 1, "days": 1}
    (parked,) = await deliveries(bench, dead)
    await bench.api.call("POST", f"/v1/deliveries/{parked['id']}/retry")
    await send(bench, first)
    assert await known(bench, dead) == {"failed": 1, "days": 1}
    troubles = bench.api.services.store.endpoint_troubles
    await troubles.note_success("prj_default", dead)
    assert await known(bench, dead) == {}


async def test_a_410_is_told_too(bench: Bench) -> None:
    """By the same event, with the reason."""
    gone = await create(bench, url=bench.upstream.url.removesuffix("/api") + "/gone")
    await create(bench, events="endpoint.disabled")
    bench.upstream.lay("/gone", {}, status=410)
    key = await end_job(bench, "s1")
    await send(bench, key)
    await send(bench, key)
    (told,) = await heard(bench, "endpoint.disabled")
    assert (told["data"]["id"], told["data"]["reason"]) == (gone, "the receiver answered 410 Gone")


def test_our_own_network_is_doubted_where_no_host_is_reached() -> None:
    """One that fails says nothing; with several and none that answers, the fault may be ours."""
    watch = Reachability()
    watch.note("https://a:443", reached=False, now_ms=1_000_000)
    assert not watch.is_doubtful(1_000_000)
    watch.note("https://b:443", reached=False, now_ms=1_000_000)
    assert watch.is_doubtful(1_000_000)
    watch.note("https://c:443", reached=True, now_ms=1_000_000)
    assert not watch.is_doubtful(1_000_000)
    assert not watch.is_doubtful(1_599_999)
    watch.note("https://b:443", reached=False, now_ms=1_650_000)
    watch.note("https://a:443", reached=False, now_ms=1_650_000)
    assert watch.is_doubtful(1_650_000)
