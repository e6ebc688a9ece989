"""Events, deliveries, the inbox and the catalogue over HTTP."""

import asyncio
import base64
import json

import pytest
from aiohttp import web

from bridge.domain.deliveries.records import Attempt, DeliveryState
from bridge.domain.deliveries.signing import sign
from bridge.providers.registry import CATALOGUE
from tests.api.serving import Client, settle, tell

OWN_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two characters").decode()


async def test_events_are_listed_newest_first_and_filtered(api: Client) -> None:
    """By type, kind and job; pages go on by cursor."""
    a, b = await api.register(job_id="a"), await api.register(generated_post_id="b")
    first, _ = await tell(api, a, "sync_job.running")
    second, _ = await tell(api, a)
    third, _ = await tell(api, b, "generated_post.completed")

    async def ids(query: str) -> list[str]:
        status, body = await api.call("GET", f"/v1/events?{query}")
        assert status == 200, body
        return [each["id"] for each in body["data"]]

    assert await ids("") == [third, second, first]
    assert await ids("type=sync_job.completed") == [second]
    assert await ids("kind=generated_post") == [third]
    assert await ids("job_id=a") == [second, first]
    _, page = await api.call("GET", "/v1/events?limit=2")
    _, rest = await api.call("GET", f"/v1/events?limit=2&cursor={page['next_cursor']}")
    assert [each["id"] for each in page["data"] + rest["data"]] == [third, second, first]
    assert rest["next_cursor"] is None


async def test_after_goes_forward_and_always_gives_a_cursor(api: Client) -> None:
    """From an event's id, or from the cursor of the page before, also when nothing came."""
    made = await api.register(job_id="a")
    first, _ = await tell(api, made, "sync_job.running")
    _, none = await api.call("GET", f"/v1/events?after={first}")
    assert none["data"] == []
    second, _ = await tell(api, made)
    _, page = await api.call("GET", f"/v1/events?after={none['next_cursor']}")
    assert [each["id"] for each in page["data"]] == [second]
    _, everything = await api.call("GET", "/v1/events?after=0")
    assert [each["id"] for each in everything["data"]] == [first, second]
    _, nothing = await api.call("GET", f"/v1/events?cursor={everything['next_cursor']}")
    assert nothing["data"] == []


async def test_a_position_that_was_never_given_counts_as_the_last_one(api: Client) -> None:
    """Else a reader whose positions a failover lost, or who mistyped one, would hear of nothing until they are reached."""
    made = await api.register(job_id="a")
    await tell(api, made, "sync_job.running")
    assert await api.call("GET", "/v1/events?after=999") == (200, {"data": [], "next_cursor": "a1"})
    waiting = asyncio.create_task(api.call("GET", "/v1/events?cursor=a999&wait=5"))
    await asyncio.wait({waiting}, timeout=0.2)
    second, _ = await tell(api, made)
    _, page = await waiting
    assert ([each["id"] for each in page["data"]], page["next_cursor"]) == ([second], "a2")


async def test_a_long_poll_ends_with_the_first_event(api: Client) -> None:
    """It waits, and answers soon after the event is there."""
    made = await api.register(job_id="a")
    first, _ = await tell(api, made, "sync_job.running")
    waiting = asyncio.create_task(api.call("GET", f"/v1/events?after={first}&wait=20"))
    await asyncio.wait({waiting}, timeout=0.4)
    assert not waiting.done()
    second, _ = await tell(api, made)
    async with asyncio.timeout(5):
        _, body = await waiting
    assert [each["id"] for each in body["data"]] == [second]


async def test_a_long_poll_ends_when_its_time_is_over(api: Client) -> None:
    """With an empty page."""
    async with asyncio.timeout(5):
        assert await api.call("GET", "/v1/events?wait=0.3") == (200, {"data": [], "next_cursor": None})


@pytest.mark.parametrize(
    "query", ["wait=56", "wait=-1", "wait=x", "type=odd", "after=odd", "cursor=odd", "after=a1&cursor=b1"]
)
async def test_a_bad_event_query_is_a_400(api: Client, query: str) -> None:
    """It names a field."""
    status, body = await api.call("GET", f"/v1/events?{query}")
    assert (status, "field" in body["error"]["details"]) == (400, True)


async def test_an_event_is_shown_as_it_is_stored_and_sent_again(api: Client) -> None:
    """A resend brings the delivery back, also after a 2xx."""
    made = await api.register(job_id="a")
    event, delivery = await tell(api, made)
    status, body = await api.call("GET", f"/v1/events/{event}")
    assert (status, body["id"], body["type"], body["job_id"]) == (200, event, "sync_job.completed", "a")
    await settle(api, delivery, DeliveryState.SUCCEEDED)
    status, body = await api.call("POST", f"/v1/events/{event}/resend")
    assert (status, body["id"]) == (200, event)
    assert [(each["id"], each["state"]) for each in body["data"]] == [(delivery, "pending")]
    assert (await api.call("GET", "/v1/events/evt_none"))[0] == 404
    assert (await api.call("POST", "/v1/events/evt_none/resend"))[0] == 404


async def test_deliveries_show_their_attempts(api: Client) -> None:
    """Status, timing, excerpt, and when the next one is due."""
    made = await api.register(job_id="a")
    event, delivery = await tell(api, made)
    status, body = await api.call("GET", f"/v1/deliveries/{delivery}")
    assert (status, body["state"], body["event_id"], body["event_type"]) == (
        200,
        "pending",
        event,
        "sync_job.completed",
    )
    assert body["next_attempt_at"] > body["created_at"]
    attempt = Attempt(
        at_ms=api.services.clock_ms(),
        status=500,
        failure=None,
        reason="It failed.",
        duration_ms=7,
        excerpt="oops",
    )
    await settle(api, delivery, DeliveryState.PARKED, attempt)
    _, body = await api.call("GET", f"/v1/deliveries/{delivery}")
    assert (body["state"], body["next_attempt_at"], body["attempt_count"]) == ("parked", None, 1)
    assert (
        body["attempts"][0].items() >= {"status": 500, "duration_ms": 7, "response_excerpt": "oops"}.items()
    )
    for query, found in (
        (f"callback_id={made['id']}", 1),
        (f"event_id={event}", 1),
        ("state=parked", 1),
        ("state=pending", 0),
    ):
        _, page = await api.call("GET", f"/v1/deliveries?{query}")
        assert len(page["data"]) == found, query


async def test_a_parked_delivery_is_retried_and_recovered(api: Client) -> None:
    """By hand one at a time, or all of a time; a finished one is a conflict that says what to do."""
    made = await api.register(job_id="a")
    _, delivery = await tell(api, made)
    await settle(api, delivery, DeliveryState.PARKED)
    status, body = await api.call("POST", f"/v1/deliveries/{delivery}/retry")
    assert (status, body["id"], body["state"]) == (200, delivery, "pending")
    await settle(api, delivery, DeliveryState.PARKED)
    status, body = await api.call("POST", "/v1/deliveries/recover", json={"since": "2020-01-01T00:00:00Z"})
    assert (status, body["count"], "id" in body) == (200, 1, True)
    assert (await api.call("GET", f"/v1/deliveries/{delivery}"))[1]["state"] == "pending"
    await settle(api, delivery, DeliveryState.SUCCEEDED)
    status, body = await api.call("POST", f"/v1/deliveries/{delivery}/retry")
    assert (status, "resend" in body["error"]["message"]) == (409, True)
    for bad in (
        {},
        {"since": "soon"},
        {"since": "2020-01-01T00:00:00Z", "state": "odd"},
        {"since": "0001-01-01T00:00:00Z"},
    ):
        assert (await api.call("POST", "/v1/deliveries/recover", json=bad))[0] == 400
    _, body = await api.call("POST", "/v1/deliveries/recover", json={"since": "1h"})
    assert body["error"]["message"] == "since: no time: use one such as 2026-11-21T10:00:00Z"
    assert (await api.call("GET", "/v1/deliveries/dlv_none"))[0] == 404


async def test_recover_brings_back_each_one_once(api: Client) -> None:
    """Over several pages, by the time they were made; who asks again finds none."""
    ids = []
    for n in range(103):
        _, delivery = await tell(api, await api.register(job_id=str(n)))
        await settle(api, delivery, DeliveryState.PARKED)
        ids.append(delivery)
    body = {"since": "2020-01-01T00:00:00Z"}
    none = {**body, "until": "2020-01-02T00:00:00Z"}
    assert (await api.call("POST", "/v1/deliveries/recover", json=none))[1]["count"] == 0
    counts = [(await api.call("POST", "/v1/deliveries/recover", json=body))[1]["count"] for _ in range(2)]
    assert counts == [103, 0]
    _, page = await api.call("GET", "/v1/deliveries?state=parked")
    assert page["data"] == []
    due = await api.services.store.dlv.due_many(ids[0][4], [("prj_default inbox:", each) for each in ids])
    assert None not in due


async def test_the_inbox_shows_what_came(api: Client) -> None:
    """As a receiver would have seen it."""
    entry = {"id": "evt_x", "received_at": "2026-11-21T00:00:00.000Z", "headers": {}, "body": {"é": "😀"}}
    await api.services.store.inbox.add("prj_default", json.dumps(entry).encode())
    assert await api.call("GET", "/v1/inbox") == (200, {"data": [entry], "next_cursor": None})


async def test_the_catalogue_has_every_type_with_samples(api: Client) -> None:
    """The list, each type, and a bare array of samples that have ids."""
    _, listed = await api.call("GET", "/v1/event-types")
    assert [each["id"] for each in listed["data"]] == list(CATALOGUE.types)
    for name in CATALOGUE.types:
        _, one = await api.call("GET", f"/v1/event-types/{name}")
        assert one["schema"]["properties"]["type"] == {"const": name}
        for payload in ("full", "thin", "flat", "cloudevents"):
            status, some = await api.call("GET", f"/v1/event-types/{name}/samples?payload={payload}")
            assert (status, type(some), all(each["id"] for each in some)) == (200, list, True)
    assert (await api.call("GET", "/v1/event-types/odd"))[0] == 404
    assert (await api.call("GET", "/v1/event-types/odd/samples"))[0] == 404


async def test_a_test_is_signed_as_a_delivery_is(api: Client) -> None:
    """After a rotation with both secrets, the newest first; with a secret of the request's own by that alone."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/x", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    body = {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/x"}
    try:
        _, old = await api.call("GET", "/v1/secrets/default")
        _, new = await api.call("POST", "/v1/secrets/default/rotate")
        for chosen in ({}, {"secret": OWN_SECRET}):
            assert (await api.call("POST", "/v1/callbacks/test", json={**body, **chosen}))[1]["delivered"]
    finally:
        await runner.cleanup()
    for (headers, sent), secrets in zip(got, ([new["secret"], old["secret"]], [OWN_SECRET]), strict=True):
        id_, at_s = headers["webhook-id"], int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == sign(secrets, event_id=id_, timestamp_s=at_s, body=sent)


async def test_a_sample_is_sent_to_a_url_and_reported(api: Client) -> None:
    """A URL where nobody listens is a failed attempt, told in words; an inbox needs no trying."""
    status, body = await api.call("POST", "/v1/callbacks/test", json={"url": "http://127.0.0.1:9/x"})
    assert status == 200, body
    assert (body["delivered"], body["verdict"], body["status"], body["failure"]) == (
        False,
        "retry",
        None,
        "connect",
    )
    for bad in ({}, {"url": "inbox:"}, {"url": "ftp://x"}, {"url": "http://127.0.0.1:9/x", "secret": "x"}):
        assert (await api.call("POST", "/v1/callbacks/test", json=bad))[0] == 400
    statuses = [
        (await api.call("POST", "/v1/callbacks/test", json={"url": "http://127.0.0.1:9/x"}))[0]
        for _ in range(12)
    ]
    assert statuses[-1] == 429
