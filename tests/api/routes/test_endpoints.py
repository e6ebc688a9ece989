"""Standing endpoints over HTTP: made, read, changed, rotated, tried out and deleted."""

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import web

from bridge.domain.subscriptions.endpoint import MOST_ENDPOINTS
from bridge.providers.registry import CATALOGUE
from bridge.store import endpoint_keys
from tests.api.serving import KEY, Client

URL = "https://hook.example/in?token=t0ken"
OWN_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two characters").decode()


async def create(api: Client, **fields: Any) -> dict[str, Any]:
    status, body = await api.call("POST", "/v1/endpoints", json={"url": "inbox:", **fields})
    assert status == 201, body
    return dict(body)


async def key_with(api: Client, *scopes: str, project: str | None = None) -> dict[str, str]:
    """Headers of another key."""
    body = {"scopes": list(scopes), **({"project_id": project} if project else {})}
    _, made = await api.call("POST", "/v1/keys", json=body)
    return {"Authorization": f"Bearer {made['key']}"}


async def test_an_endpoint_is_made_read_changed_and_deleted(api: Client) -> None:
    """With a Location, its own secret, and the whole URL only where one endpoint is read."""
    sent = {"url": URL, "events": ["sync_job.*", "failed"], "description": "mine", "metadata": {"a": 1}}
    status, made, headers = await api.ask("POST", "/v1/endpoints", json=sent)
    assert (status, made["object"], made["enabled"]) == (201, "endpoint", True)
    assert made["id"].startswith("ep_")
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["sync_job.*", "*.failed"]
    assert headers["Location"] == f"{api.url}/v1/endpoints/{made['id']}"
    path = f"/v1/endpoints/{made['id']}"
    _, read = await api.call("GET", path)
    assert read == {name: value for name, value in made.items() if name != "secret"}
    _, listed = await api.call("GET", "/v1/endpoints")
    assert listed["data"][0]["url"] == "https://hook.example/in?token=***"
    status, changed = await api.call(
        "PATCH", path, json={"url": "inbox:", "events": None, "enabled": "false"}
    )
    assert (status, changed["url"], changed["enabled"]) == (200, "inbox:", False)
    assert changed["disabled_reason"] == "switched off"
    assert set(changed["events"]) == {each.type for each in CATALOGUE.types.values() if each.ending}
    assert {"publishing_delivery.published", "sync_job.timed_out"} <= set(changed["events"])
    for _ in range(2):
        assert await api.call("DELETE", path) == (200, {"id": made["id"], "deleted": True})
    assert (await api.call("GET", path))[0] == 404
    assert (await api.call("PATCH", path, json={"enabled": True}))[0] == 404


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"data": {"url": "inbox:", "events": "failed,sync_job.*", "metadata": '{"a":1}'}},
            {"metadata": {"a": 1}},
        ),
        (
            {"json": [{"callback_url": "inbox:", "rate_limit_per_second": "2.5"}]},
            {"rate_limit_per_second": 2.5},
        ),
        ({"json": {"webhook_url": "inbox:", "description": "", "personas": "*"}}, {"personas": ["*"]}),
        (
            {"json": {"url": "inbox:", "personas": ["n1", "n2"], "payload": "flat"}},
            {"personas": ["n1", "n2"]},
        ),
        ({"params": {"url": "inbox:", "enabled": "0"}}, {"enabled": False}),
    ],
)
async def test_it_takes_what_no_code_tools_send(
    api: Client, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Forms, numbers as text, a list of one, the query, empty fields, and the names that callbacks use."""
    status, made = await api.call("POST", "/v1/endpoints", **options)
    assert status == 201, made
    assert {name: made[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "ftp://hook.example"}, "url"),
        ({"url": "inbox:", "events": ["sync_job.exploded"]}, "events"),
        ({"url": "inbox:", "headers": {"webhook-id": "x"}}, "headers"),
        ({"url": "inbox:", "rate_limit_per_second": 0}, "rate_limit_per_second"),
        ({"url": "inbox:", "rate_limit_per_second": True}, "rate_limit_per_second"),
        ({"url": "inbox:", "secret": "whsec_short"}, "secret"),
        ({"url": "inbox:", "personas": ["not an id"]}, "personas"),
        ({"url": "inbox:", "payload": "xml"}, "payload"),
        ({"url": "inbox:", "metadata": "m" * 5000}, "metadata"),
    ],
)
async def test_a_refusal_names_the_field(api: Client, fields: dict[str, Any], named: str) -> None:
    status, body = await api.call("POST", "/v1/endpoints", json=fields)
    assert status == 400
    assert body["error"]["details"]["field"] == named
    assert (await api.call("GET", "/v1/endpoints"))[1]["data"] == []


async def test_other_projects_and_lesser_keys_see_nothing(api: Client) -> None:
    """Another project's endpoint is a 404; managing needs `manage`, the secret `admin`."""
    made = await create(api)
    _, project = await api.call("POST", "/v1/projects", json={"name": "other"})
    stranger = await key_with(api, "manage", "admin", project=project["id"])
    path = f"/v1/endpoints/{made['id']}"
    for method, where in (
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/secret"),
        ("POST", "/test"),
        ("POST", "/rotate-secret"),
    ):
        status, _ = await api.call(method, path + where, headers=stranger, json={"enabled": False})
        assert status == 404, (method, where)
    assert (await api.call("DELETE", path, headers=stranger))[0] == 200
    assert (await api.call("GET", path))[0] == 200, "still there"
    assert (await api.call("GET", "/v1/endpoints", headers=stranger))[1]["data"] == []
    manager = await key_with(api, "manage")
    assert (await api.call("GET", path, headers=manager))[0] == 200
    assert (await api.call("GET", f"{path}/secret", headers=manager))[0] == 403
    assert (
        await api.call(
            "POST", "/v1/endpoints", headers=await key_with(api, "register", "read"), json={"url": "inbox:"}
        )
    )[0] == 403
    assert (await api.call("GET", f"{path}?api_key={KEY}", headers={}))[0] == 403


async def test_equal_idempotency_keys_make_one_endpoint(api: Client) -> None:
    """Fifty at once; another body is a 409."""
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k1"}
    asked = [api.call("POST", "/v1/endpoints", headers=headers, json={"url": "inbox:"}) for _ in range(50)]
    answers = await asyncio.gather(*asked)
    assert {status for status, _ in answers} == {201}
    assert len({body["id"] for _, body in answers}) == 1
    assert len({body["secret"] for _, body in answers}) == 1
    assert len((await api.call("GET", "/v1/endpoints"))[1]["data"]) == 1
    assert (
        await api.call("POST", "/v1/endpoints", headers=headers, json={"url": "inbox:", "enabled": False})
    )[0] == 409


async def test_a_secret_is_rotated_and_at_most_two_sign(api: Client) -> None:
    """The third one within a day ends the first, and the answer says so."""
    made = await create(api, secret=OWN_SECRET)
    assert made["secret"] == OWN_SECRET
    path = f"/v1/endpoints/{made['id']}"
    status, first = await api.call("POST", f"{path}/rotate-secret")
    assert (status, first["id"]) == (200, made["id"])
    assert first["secret"] != OWN_SECRET
    assert first["previous_secret_expires_at"]
    assert "note" not in first
    _, second = await api.call("POST", f"{path}/rotate-secret", json={"secret": made["secret"]})
    assert second["secret"] == OWN_SECRET
    assert "older of them does not sign" in second["note"]
    _, shown = await api.call("GET", f"{path}/secret")
    assert shown["secret"] == OWN_SECRET
    assert "secret" not in (await api.call("GET", path))[1]


async def test_a_project_has_a_limited_number(api: Client) -> None:
    """The refusal says what to do."""
    for _ in range(MOST_ENDPOINTS):
        await create(api)
    status, body = await api.call("POST", "/v1/endpoints", json={"url": "inbox:"})
    assert (status, body["error"]["code"]) == (409, "CONFLICT")
    assert "delete one first" in body["error"]["message"]
    seen: list[str] = []
    cursor = ""
    while True:
        _, page = await api.call("GET", f"/v1/endpoints?limit=30{cursor}")
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(set(seen)) == len(seen) == MOST_ENDPOINTS


async def test_a_test_is_signed_as_a_delivery_and_reports_the_answer(api: Client) -> None:
    """With the endpoint's own headers, payload, metadata and secrets."""
    got: list[tuple[dict[str, str], Any]] = []

    async def receive(request: web.Request) -> web.Response:
        got.append(({**request.headers}, await request.json()))
        return web.Response(status=418, text="teapot")

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        made = await create(api, url=url, headers={"X-Key": "k"}, metadata={"shop": 7})
        await api.call("POST", f"/v1/endpoints/{made['id']}/rotate-secret")
        status, verdict = await api.call(
            "POST", f"/v1/endpoints/{made['id']}/test", json={"type": "generated_post.partial"}
        )
    finally:
        await runner.cleanup()
    assert (status, verdict["status"], verdict["delivered"]) == (200, 418, False)
    ((headers, body),) = got
    assert headers["X-Key"] == "k"
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert (body["type"], body["test"], body["metadata"]) == ("generated_post.partial", True, {"shop": 7})
    assert body["bridge"]["endpoint_id"] == made["id"]
    assert (await api.call("GET", "/v1/events"))[1]["data"] == []


async def test_what_is_secret_lies_sealed_in_the_store(api: Client) -> None:
    """URL, signing secret and headers."""
    made = await create(api, url=URL, headers={"X-Key": "v3ry"}, secret=OWN_SECRET)
    redis: Any = api.services.store.redis
    rows = await redis.hgetall(endpoint_keys.endpoints("prj_default"))
    raw = rows[made["id"].encode()]
    for secret in (b"t0ken", b"v3ry", OWN_SECRET.encode(), OWN_SECRET[6:].encode()):
        assert secret not in raw


async def test_no_endpoint_beside_a_process_of_an_earlier_version(api: Client) -> None:
    """Its worker would write events without asking the endpoints: the refusal says what to wait for."""
    store = api.services.store
    await store.redis.zadd("{g}:workers", {"old": api.services.clock_ms()})
    status, body = await api.call("POST", "/v1/endpoints", json={"url": "inbox:"})
    assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "earlier version" in body["error"]["message"]
    await store.heartbeats.leave("old")
    await store.heartbeats.beat("new", api.services.clock_ms())
    await create(api)
