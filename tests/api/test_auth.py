"""Keys: how they are carried, what each may do, and what a wrong one gets."""

import asyncio
import base64
from typing import Any

import pytest

from bridge.api.app import KEYED_ROUTES
from bridge.api.auth import Authenticator, Presented
from bridge.api.routing import ANY_SCOPE, Route
from bridge.errors import RateLimited
from tests.api.serving import KEY, Client


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": basic(f"{KEY}:")},  # curl -u KEY:
        {"Authorization": basic(KEY)},
        {"Authorization": basic(f":{KEY}")},  # tools with only a password field
        {"Authorization": f"Bearer {KEY}", "Cookie": "session=x"},
        {"Authorization": KEY},  # pasted into a field for the whole header
        {"Authorization": f"Bearer Bearer {KEY}"},  # pasted with the word into a field that adds it
        {"X-API-Key": f"Bearer {KEY}"},
        {"Authorization": basic(f"api:{KEY}")},  # tools that demand a user name
        {"Authorization": basic(f"{KEY}:x")},
        {"Authorization": basic("proxy:login"), "X-API-Key": KEY},  # the login of a proxy in front
    ],
)
async def test_a_key_may_be_carried_in_many_ways(api: Client, headers: dict[str, str]) -> None:
    """As the tools can."""
    status, body = await api.call("GET", "/v1/me", headers=headers)
    assert (status, body["project"]["name"]) == (200, "default")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Token {KEY}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "é".encode("latin-1").decode("latin-1")},
        {"X-API-Key": "k" * 5000},
        {"Cookie": f"api_key={KEY}"},
    ],
)
async def test_no_key_or_a_wrong_one_is_a_401_without_a_challenge(
    api: Client, headers: dict[str, str]
) -> None:
    """A browser must not open its password window, and a cookie is no key."""
    status, body, answered = await api.ask("GET", "/v1/me", headers=headers)
    assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")
    assert "WWW-Authenticate" not in answered
    assert "Set-Cookie" not in answered


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "no API key: send a key as"),
        ({"Authorization": "Bearer"}, "nothing follows the word Bearer"),
        ({"Authorization": f"Token {KEY}"}, "none of Bearer and Basic"),
        ({"Authorization": "Basic !!!"}, "no readable user name and password"),
        ({"X-API-Key": "brk_..."}, "a placeholder"),
        ({"Authorization": "Bearer {{ $env.KEY }}"}, "a placeholder"),
        ({"Authorization": f"Bearer {KEY[:20]} {KEY[20:]}"}, "holds a blank"),
        ({"X-API-Key": "rm_" + "b" * 32}, "REELBRIDGE_PASSTHROUGH"),
        ({"X-API-Key": "whsec_" + "b" * 32}, "a signing secret"),
        ({"X-API-Key": "hunter2"}, "those begin with brk_"),
        ({"X-API-Key": KEY + "x"}, "not known or was revoked"),
    ],
)
async def test_a_401_names_what_was_wrong_and_never_the_key(
    api: Client, headers: dict[str, str], named: str
) -> None:
    """The message is all that the user of a no-code tool sees."""
    status, body = await api.call("GET", "/v1/me", headers=headers)
    message = body["error"]["message"]
    assert (status, named in message, "`X-API-Key: brk_…`" in message) == (401, True, True), message
    assert not any(len(word) > 8 and word in message for value in headers.values() for word in value.split())


async def test_a_key_in_the_url_registers_and_reads_state_only(api: Client) -> None:
    """Logs of proxies hold URLs: such a key sees no secret and changes nothing else."""
    query = f"?api_key={KEY}"
    status, made = await api.call("POST", f"/v1/callbacks{query}&job_id=7&callback_url=inbox:", headers={})
    assert (status, made["job_id"]) == (201, "7")
    for path in (
        "/v1/callbacks",
        f"/v1/callbacks/{made['id']}",
        "/v1/jobs/sync_job/7",
        "/v1/events",
        "/v1/me",
    ):
        status, body = await api.call("GET", path + query, headers={})
        assert status == 200, path
        assert KEY not in str(body)
    for method, path in (
        ("GET", "/v1/secrets/default"),
        ("GET", "/v1/keys"),
        ("GET", "/v1/accounts"),
        ("POST", "/v1/keys"),
        ("DELETE", f"/v1/callbacks/{made['id']}"),
        ("PATCH", f"/v1/callbacks/{made['id']}"),
        ("POST", "/v1/callbacks/test"),
    ):
        status, body = await api.call(method, path + query, headers={})
        assert (status, body["error"]["code"]) == (403, "FORBIDDEN"), path


def _path(route: Route) -> str:
    return route.path.replace("{kind}", "sync_job").replace("{id}", "x").replace("{type}", "x")


async def test_a_key_has_exactly_its_scopes(api: Client) -> None:
    """Every route is closed to a key with all other scopes, admin included, and names the one it lacks."""
    scopes = ["register", "read", "manage", "proxy", "admin"]
    keys: dict[str, str] = {}
    for scope in scopes:
        others = [each for each in scopes if each != scope]
        _, made = await api.call("POST", "/v1/keys", json={"scopes": others})
        keys[scope] = made["key"]
    for route in KEYED_ROUTES:
        if route.scope == ANY_SCOPE:
            continue
        assert route.scope is not None
        status, body = await api.call(route.method, _path(route), headers={"X-API-Key": keys[route.scope]})
        assert (status, body["error"]["details"]) == (403, {"scope": route.scope}), route.path


async def test_new_keys_have_every_scope(api: Client) -> None:
    """The configured one and a project's first one; a request for a key chooses."""
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    for headers in ({}, {"X-API-Key": other["key"]}):
        _, me = await api.call("GET", "/v1/me", headers=headers or None)
        assert sorted(me["key"]["scopes"]) == ["admin", "manage", "proxy", "read", "register"]
    status, made = await api.call("POST", "/v1/keys", json={"scopes": ["read", "proxy"]})
    assert (status, sorted(made["scopes"])) == (201, ["proxy", "read"])


async def test_a_revoked_key_is_dead_at_once(api: Client) -> None:
    """Also one that was used a moment ago."""
    _, made = await api.call("POST", "/v1/keys", json={"name": "ci", "scopes": ["read"]})
    headers = {"X-API-Key": made["key"]}
    assert (await api.call("GET", "/v1/me", headers=headers))[0] == 200
    assert await api.call("DELETE", f"/v1/keys/{made['id']}") == (200, {"id": made["id"], "deleted": True})
    assert (await api.call("GET", "/v1/me", headers=headers))[0] == 401
    _, me = await api.call("GET", "/v1/me")
    assert (await api.call("DELETE", f"/v1/keys/{me['key']['id']}"))[0] == 409


async def test_wrong_keys_are_slowed_down(api: Client) -> None:
    """From one address they get 429 with Retry-After after a while."""
    answers = [await api.ask("GET", "/v1/me", headers={"X-API-Key": f"brk_{n}"}) for n in range(40)]
    assert answers[0][0] == 401
    assert answers[-1][0] == 429
    assert int(answers[-1][2]["Retry-After"]) >= 1


async def test_wrong_keys_never_refuse_a_right_one(api: Client) -> None:
    """Fifty wrong keys a second from an address that others share: each right key is let in, also a new one."""
    stop = asyncio.Event()

    async def guess() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            status, _ = await api.call("GET", "/v1/me", headers={"X-API-Key": f"brk_{number}"})
            assert status in (401, 429)

    guessing = [asyncio.create_task(guess()) for _ in range(4)]
    try:
        for number in range(20):
            status, made = await api.call("POST", "/v1/keys", json={"name": f"k{number}", "scopes": ["read"]})
            assert status == 201
            assert (await api.call("GET", "/v1/me", headers={"X-API-Key": made["key"]}))[0] == 200
            while (await api.call("GET", "/v1/me", headers={"X-API-Key": "brk_wrong"}))[0] != 429:
                pass  # the address is over its limit for wrong keys each time
    finally:
        stop.set()
        await asyncio.gather(*guessing)


async def test_a_project_has_a_limit_of_requests(api: Client) -> None:
    """Generous, and told with the time to wait; the clock refills it."""
    now = [0.0]
    gate = Authenticator(api.services.store.apikeys, clock_s=lambda: now[0])
    presented = Presented(text=KEY)
    for _ in range(10_000):
        await gate.authenticate(presented, lambda: "a")
    with pytest.raises(RateLimited) as caught:
        await gate.authenticate(presented, lambda: "a")
    assert caught.value.headers["Retry-After"] == "1"
    now[0] += 1
    assert (await gate.authenticate(presented, lambda: "a")).name == "bootstrap"


async def test_another_projects_objects_are_not_there(api: Client) -> None:
    """404, or nothing in the list, whatever is asked for."""
    made: dict[str, Any] = await api.register(job_id="1")
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    headers = {"X-API-Key": other["key"]}
    _, account = await api.call("GET", "/v1/accounts")
    for method, path in (
        ("GET", f"/v1/callbacks/{made['id']}"),
        ("PATCH", f"/v1/callbacks/{made['id']}"),
        ("GET", f"/v1/callbacks/{made['id']}/timeline"),
        ("GET", "/v1/jobs/sync_job/1"),
        ("GET", f"/v1/accounts/{account['data'][0]['id']}"),
        ("GET", "/v1/projects/prj_default"),
    ):
        status, _ = await api.call(
            method, path, headers=headers, json={"metadata": "x"} if method == "PATCH" else None
        )
        assert status == 404, path
    await api.call("DELETE", f"/v1/callbacks/{made['id']}", headers=headers)
    await api.call("DELETE", "/v1/callbacks?job_id=1", headers=headers)
    assert (await api.call("GET", f"/v1/callbacks/{made['id']}"))[1]["state"] == "watching"
    for path in ("/v1/callbacks", "/v1/events", "/v1/deliveries", "/v1/inbox", "/v1/accounts"):
        assert (await api.call("GET", path, headers=headers))[1]["data"] == []
    assert (await api.call("GET", "/v1/projects", headers=headers))[0] == 403
