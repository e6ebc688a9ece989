"""`POST /v1/events/reconcile`: a receiver says what it has, and is sent what it lacks."""

import asyncio
from typing import Any

from bridge.domain.times import iso_ms
from bridge.services import reconcile
from bridge.store import feed_keys
from tests.services.endpoints.standing import create, end_job, inbox, send
from tests.services.polling.upstreams import Bench


async def ask(bench: Bench, ids: list[str], **fields: Any) -> dict[str, Any]:
    status, body = await bench.api.call(
        "POST", "/v1/events/reconcile", json={"ids": ids, "since": iso_ms(0), **fields}
    )
    assert status == 200, body
    return dict(body)


async def feed(bench: Bench) -> list[str]:
    return [event for event, _ in await bench.api.services.store.feed.read("prj_default", after=0)]


async def test_an_endpoint_is_sent_what_its_receiver_lacks(bench: Bench) -> None:
    """What it never got, and once more what it had taken; a dry run sends nothing, and a repetition sends nothing twice."""
    first = await end_job(bench, "s1")
    endpoint = await create(bench)
    second = await end_job(bench, "s2")
    assert await send(bench, second) == [endpoint]
    third = await end_job(bench, "s3")
    assert await send(bench, third) == [endpoint]
    lacking, taken, kept = await feed(bench)
    assert (await ask(bench, [kept], endpoint_id=endpoint, dry_run=True)) == {
        "id": "reconcile",
        "object": "reconciliation",
        "dry_run": True,
        "data": [lacking, taken],
        "count": 0,
        "next_cursor": None,
    }
    again = await ask(bench, [kept], endpoint_id=endpoint)
    assert (again["data"], again["count"]) == ([lacking, taken], 2)
    assert (await ask(bench, [kept], endpoint_id=endpoint))["count"] == 0
    async with asyncio.timeout(20):
        while len(await inbox(bench)) < 4:  # what is sent again is spread over some ms
            for key in (first, second):
                await send(bench, key)
    got = [(each["id"], each["headers"].get("webhook-resend")) for each in await inbox(bench)]
    assert sorted(got, key=str) == sorted(
        [(taken, None), (kept, None), (lacking, None), (taken, "true")], key=str
    )


async def test_the_filter_and_the_period_say_what_is_lacking(bench: Bench) -> None:
    await end_job(bench, "s1")
    await end_job(bench, "s2", status="failed")
    endpoint = await create(bench, events="failed")
    _, failed = await feed(bench)
    assert (await ask(bench, [], endpoint_id=endpoint, dry_run=True))["data"] == [failed]
    later = iso_ms(bench.api.services.clock_ms() + 1000)
    assert (await ask(bench, [], since=later, dry_run=True))["data"] == []
    assert (await ask(bench, [], until=iso_ms(1), dry_run=True))["data"] == []


async def test_without_an_endpoint_the_callbacks_get_it_again(bench: Bench) -> None:
    """Those that the event had gone to, marked as sent again."""
    key = await end_job(bench, "s1")
    await bench.api.services.store.redis.delete(f"{{{key[0]}}}:hold:{(await bench.job(key)).callbacks[0].id}")
    while await send(bench, key):
        pass
    (event,) = await feed(bench)
    found = await ask(bench, [])
    assert (found["data"], found["count"]) == ([event], 1)
    while await send(bench, key):
        pass
    assert [each["headers"].get("webhook-resend") for each in await inbox(bench)] == ["true", None]


async def test_much_is_found_in_several_answers(bench: Bench) -> None:
    """At most a thousand at once; `next_cursor` goes on."""
    key = await end_job(bench, "s1")
    (event,) = await feed(bench)
    store = bench.api.services.store
    raw = await store.redis.get(f"{{{key[0]}}}:e:{event}")
    ids = [f"evt_a{'b' * 21}{number:04}".translate(str.maketrans("0189", "wxyz")) for number in range(1500)]
    for each in ids:
        await store.redis.set(f"{{a}}:e:{each}", raw)
    await store.feed.publish("prj_default", ids)
    first = await ask(bench, [], dry_run=True)
    rest = await ask(bench, [], dry_run=True, after=first["next_cursor"])
    assert len(first["data"]) <= reconcile.MOST
    assert (len(first["data"]) + len(rest["data"]), rest["next_cursor"]) == (1501, None)
    await store.redis.delete(feed_keys.feed("prj_default"))


async def test_ten_thousand_ids_fit_and_no_more(bench: Bench) -> None:
    ids = [f"evt_{number:026}" for number in range(10_001)]
    assert (await ask(bench, ids[:-1], dry_run=True))["data"] == []
    for body, status in (
        ({"ids": ids, "since": iso_ms(0)}, 400),
        ({"ids": []}, 400),
        ({"ids": [], "since": iso_ms(0), "endpoint_id": "ep_none"}, 404),
        ({"ids": ["x" * 600_000], "since": iso_ms(0)}, 413),
    ):
        assert (await bench.api.call("POST", "/v1/events/reconcile", json=body))[0] == status
