"""What brings events back to an endpoint: recover, another URL, a rate limit that lets them wait, 410, retention."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.times import iso_ms
from bridge.domain.urls.policy import check_url
from bridge.services.jobs import retention
from bridge.services.subscriptions.endpoints import EndpointFields, patch
from bridge.store import endpoint_keys
from tests.services.endpoints.standing import create, deliveries, end_job, inbox, records, send
from tests.services.polling.upstreams import Bench
from workers.sweep import prove


async def recover(bench: Bench, endpoint: str, *, since_ms: int = 0, **more: Any) -> int:
    path = f"/v1/endpoints/{endpoint}/recover"
    status, body = await bench.api.call("POST", path, json={"since": iso_ms(since_ms), **more})
    assert (status, body["object"], body["id"]) == (200, "recovery", endpoint), body
    return int(body["count"])


async def states(bench: Bench, endpoint: str) -> list[str]:
    return sorted(each["state"] for each in await deliveries(bench, endpoint))


async def test_recover_makes_what_is_missing_and_restarts_what_is_parked(bench: Bench) -> None:
    """Each exactly once, however often and however many at once; what was delivered is left alone.

    Walks at the same time may each count what one of them brought back.
    """
    first = await end_job(bench, "s1")
    endpoint = await create(bench)
    second = await end_job(bench, "s2")
    assert await send(bench, second) == [endpoint]
    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"enabled": False})
    third = await end_job(bench, "s3")
    assert await states(bench, endpoint) == ["parked", "succeeded"]
    refused, body = await bench.api.call("POST", f"/v1/endpoints/{endpoint}/recover", json={"since": 0})
    assert (refused, "disabled" in body["error"]["message"]) == (409, True)
    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"enabled": True})
    counts = await asyncio.gather(*(recover(bench, endpoint) for _ in range(3)))
    assert sum(counts) >= 2
    assert await states(bench, endpoint) == ["pending", "pending", "succeeded"]
    assert await recover(bench, endpoint) == 0
    found = {key: (await records(bench, key))[endpoint] for key in (first, second, third)}
    assert found[first].state is DeliveryState.PENDING
    assert found[second].tries == 1


async def test_recover_goes_by_the_period_and_the_filter_of_now(bench: Bench) -> None:
    await end_job(bench, "s1")
    await end_job(bench, "s2", status="failed")
    endpoint = await create(bench, events="failed")
    now_ms = bench.api.services.clock_ms()
    assert await recover(bench, endpoint, since_ms=now_ms + 60_000) == 0
    assert await recover(bench, endpoint, until=iso_ms(now_ms - 60_000)) == 0
    assert await recover(bench, endpoint, since_ms=now_ms - 60_000) == 1
    (made,) = await deliveries(bench, endpoint)
    assert made["state"] == "pending"


async def test_another_url_gets_what_waits(bench: Bench) -> None:
    """Also what a worker claims from the former URL's lane, because the API died before it moved it."""
    endpoint = await create(bench, url="http://127.0.0.1:9/former")
    key = await end_job(bench, "s1")
    former = (await records(bench, key))[endpoint].lane
    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"url": "inbox:"})
    moved = (await records(bench, key))[endpoint]
    assert moved.lane == "prj_default inbox:" != former
    assert await send(bench, key) == [endpoint]

    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"url": "http://127.0.0.1:9/former"})
    later = await end_job(bench, "s2")
    url = check_url("inbox:", bench.api.services.policy)
    await patch(bench.api.services, "prj_default", endpoint, EndpointFields(url=url))
    assert (await records(bench, later))[endpoint].lane == former
    assert await send(bench, later) == [endpoint], "claimed in the former lane, moved, sent from the new one"
    moved = (await records(bench, later))[endpoint]
    assert (moved.lane, moved.tries) == ("prj_default inbox:", 1)


async def test_a_rate_limit_lets_deliveries_wait_without_an_attempt(bench: Bench) -> None:
    """Two a second: of five that are due two go, the others are due later, one after the other."""
    endpoint = await create(bench, rate_limit_per_second=2)
    jobs = [await end_job(bench, f"s{number}") for number in range(5)]
    before_ms = bench.api.services.clock_ms()
    assert await send(bench, jobs[0]) == [endpoint, endpoint]
    found = [(await records(bench, key))[endpoint] for key in jobs]
    waiting = [each for each in found if each.state is DeliveryState.PENDING]
    assert [each.tries for each in waiting] == [0, 0, 0]
    store = bench.api.services.store
    dues = [await store.dlv.due_of(each.id[4], each.lane, each.id) for each in waiting]
    ahead = sorted((each or 0) - before_ms for each in dues)
    assert ahead[0] > 0
    assert [round((after - before) / 500) for before, after in pairwise(ahead)] == [1, 1]


async def test_410_disables_the_endpoint_and_keeps_the_event(bench: Bench) -> None:
    async def gone(_: web.Request) -> web.Response:
        return web.Response(status=410)

    app = web.Application()
    app.router.add_post("/", gone)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        endpoint = await create(bench, url=f"http://127.0.0.1:{runner.addresses[0][1]}/")
        key = await end_job(bench, "s1")
        assert await send(bench, key) == [endpoint]
    finally:
        await runner.cleanup()
    _, shown = await bench.api.call("GET", f"/v1/endpoints/{endpoint}")
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "the receiver answered 410 Gone")
    found = (await records(bench, key))[endpoint]
    assert (found.state, found.reason, found.tries) == (
        DeliveryState.PARKED,
        "the receiver answered 410 Gone",
        1,
    )
    await bench.api.call("PATCH", f"/v1/endpoints/{endpoint}", json={"url": "inbox:", "enabled": True})
    assert await send(bench, key) == [endpoint]
    assert len(await inbox(bench)) == 1


@pytest.mark.parametrize("at_once", [500, 2])
async def test_retention_takes_an_endpoints_deliveries_in_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Nothing is left of them in any index."""
    monkeypatch.setattr(retention, "STEP", at_once)
    names = [await create(bench) for _ in range(4)]
    key = await end_job(bench, "s1")
    await bench.api.services.store.redis.delete(f"{{{key[0]}}}:hold:{(await bench.job(key)).callbacks[0].id}")
    while await send(bench, key):
        pass
    store: Any = bench.api.services.store
    await store.redis.zadd(f"{{{key[0]}}}:ended", {key: 1})
    assert await retention.end_retention(bench.api.services, key[0]) == 1
    for name in names:
        assert await store.redis.exists(endpoint_keys.deliveries(key[0], name)) == 0
    assert await store.indexes.deliveries("prj_default") == []


async def test_the_sweep_finishes_what_a_killed_api_left(bench: Bench) -> None:
    """The table has another epoch than the shard: nobody was answered, and new events go by the new rows from then on."""
    endpoint = await create(bench)
    store: Any = bench.api.services.store
    table = endpoint_keys.endpoints("prj_default")
    await store.redis.hdel(table, endpoint)
    epoch = int(await store.redis.hincrby(table, "epoch", 1))
    assert (await prove(bench.api.services))["endpoints"] == 1
    assert int(await store.redis.get(endpoint_keys.epoch("a", "prj_default"))) == epoch
    key = await end_job(bench, "s1")
    assert endpoint not in await records(bench, key)


async def test_nothing_is_promised_to_an_endpoint_that_gets_nothing(bench: Bench) -> None:
    """Retrying what is parked there is refused with the reason; recovering leaves it out, and counts the rest."""
    off, gone, on = [await create(bench, enabled=enabled) for enabled in (False, False, True)]
    key = await end_job(bench, "s1")
    assert await send(bench, key) == [on]
    await bench.api.call("DELETE", f"/v1/endpoints/{gone}")
    found = await records(bench, key)
    for endpoint, reason in ((off, "disabled: enable it first"), (gone, "deleted")):
        status, body = await bench.api.call("POST", f"/v1/deliveries/{found[endpoint].id}/retry")
        assert (status, reason in body["error"]["message"]) == (409, True), body
    _, body = await bench.api.call("POST", "/v1/deliveries/recover", json={"since": iso_ms(0)})
    assert body["count"] == 0
    await bench.api.call("PATCH", f"/v1/endpoints/{off}", json={"enabled": True})
    _, body = await bench.api.call("POST", "/v1/deliveries/recover", json={"since": iso_ms(0)})
    assert body["count"] == 1
    assert sorted(await send(bench, key)) == [off]
    _, body = await bench.api.call("POST", f"/v1/events/{found[on].event}/resend")
    assert {each["endpoint_id"] for each in body["data"]} == {off, on, None}  # None: the job's callback
