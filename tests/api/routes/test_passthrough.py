"""Callers with upstream keys of their own (REELBRIDGE_PASSTHROUGH): who gets in, where, and what the provider is asked."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.api.auth import Authenticator, Presented
from bridge.container import bootstrap, open_services
from bridge.errors import RateLimited, Unauthorized, Unavailable
from bridge.services.accounts.passthrough import BAD_S, GOOD_S, Passthrough
from bridge.store import keys
from tests.api.serving import BEARER, Client, make_settings, serving

CONFIGURED = "rm_" + "b" * 32
OWN = "rm_" + "7" * 32
OTHER = "rm_" + "8" * 32
REELBOT = "rb_live_" + "9" * 32


class Provider:
    """Both providers at one address: which credentials they accept, and which ones they were asked about."""

    def __init__(self) -> None:
        self.url = ""
        self.good: set[str] = set()
        self.asked: list[str] = []
        self.status = 0  # of all answers, where it is not 0

    async def answer(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-API-Key") or request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append(key)
        status = self.status or (404 if key in self.good else 401)
        code = {404: "NOT_FOUND", 401: "UNAUTHORIZED"}.get(status, "INTERNAL_ERROR")
        if "reelbot" in request.path:
            return web.json_response({"success": False, "code": code, "message": "no"}, status=status)
        return web.json_response({"error": {"code": code, "message": "no"}}, status=status)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    fake = Provider()
    app = web.Application()
    app.router.add_get("/{path:.*}", fake.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@asynccontextmanager
async def bridge(store: Path, provider: Provider, *, passthrough: bool = True) -> AsyncIterator[Client]:
    settings = make_settings(
        store,
        passthrough=passthrough,
        REELMIRROR_BASE_URL=f"{provider.url}/reelmirror/api",
        REELBOT_BASE_URL=f"{provider.url}/reelbot/api",
    )
    async with serving(settings) as client:
        yield client


@pytest.fixture
async def api(store_socket: Path, provider: Provider) -> AsyncIterator[Client]:
    """A running API that lets upstream keys in."""
    async with bridge(store_socket, provider) as client:
        yield client


def token(subject: str, *, number: int = 0, expires_s: int = 4_000_000_000) -> str:
    """Make one of a login's tokens."""
    parts = ({"alg": "HS256"}, {"sub": subject, "exp": expires_s, "n": number})
    coded = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts]
    return ".".join((*coded, "c2lnbmF0dXJl"))


async def me(api: Client, key: str, **headers: str) -> tuple[int, Any]:
    return await api.call("GET", "/v1/me", headers={"Authorization": f"Bearer {key}", **headers})


async def test_a_key_of_ones_own_has_a_project_of_its_own(api: Client, provider: Provider) -> None:
    """With all scopes and its account, made after one check; the next requests cost the provider nothing."""
    provider.good = {OWN, OTHER}
    status, body = await me(api, OWN)
    assert (status, body["key"]["scopes"]) == (200, ["admin", "manage", "proxy", "read", "register"])
    login = {"Authorization": f"Bearer {OWN}"}
    _, accounts = await api.call("GET", "/v1/accounts", headers=login)
    assert [each["provider"] for each in accounts["data"]] == ["reelmirror"]
    callback = {"job_id": "1", "callback_url": "inbox:"}
    assert (await api.call("POST", "/v1/callbacks", json=callback, headers=login))[0] == 201
    assert provider.asked == [OWN]
    assert (await me(api, OTHER))[1]["project"]["id"] != body["project"]["id"]
    assert (await api.call("GET", "/v1/callbacks", headers=BEARER))[1]["data"] == []
    assert (await api.call("POST", "/v1/projects", json={"name": "x"}, headers=login))[0] == 403


async def test_the_configured_key_logs_into_its_project(api: Client, provider: Provider) -> None:
    """It may start work there and be told of it, no more; its provider is not asked."""
    status, body = await me(api, CONFIGURED)
    assert (status, body["project"]["name"], body["key"]["scopes"]) == (200, "default", ["proxy", "register"])
    assert (await api.call("GET", "/v1/keys", headers={"X-API-Key": CONFIGURED}))[0] == 403
    assert provider.asked == []


@pytest.mark.parametrize("key", [OWN, REELBOT, token("alice")])
async def test_a_refused_key_leaves_nothing_on_disk(api: Client, provider: Provider, key: str) -> None:
    """It reads as one that nobody knows, and is not tried again for a while."""
    redis = api.services.store.redis
    before = sorted(await redis.keys("*"))
    answers = [await me(api, key) for _ in range(3)]
    assert {status for status, _ in answers} == {401}
    assert "no provider accepts it" in answers[0][1]["error"]["message"]
    assert provider.asked == [key]
    assert sorted(await redis.keys("*")) == before
    assert len(await api.services.store.projects.list()) == 1


async def test_without_the_setting_nothing_goes_out(store_socket: Path, provider: Provider) -> None:
    """The configured key is none of the bridge's own either."""
    provider.good = {OWN}
    async with bridge(store_socket, provider, passthrough=False) as api:
        assert [(await me(api, key))[0] for key in (OWN, CONFIGURED)] == [401, 401]
    assert provider.asked == []


async def test_a_provider_in_trouble_is_no_refusal(api: Client, provider: Provider) -> None:
    """503, to be repeated; nothing is remembered."""
    provider.good, provider.status = {OWN}, 500
    status, _, headers = await api.ask("GET", "/v1/me", headers={"Authorization": f"Bearer {OWN}"})
    assert (status, headers["Retry-After"]) == (503, "5")
    provider.status = 0
    assert (await me(api, OWN))[0] == 200


async def test_those_who_come_together_share_a_check(api: Client, provider: Provider) -> None:
    """One read, one project."""
    provider.good = {OWN}
    answers = await asyncio.gather(*(me(api, OWN) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert provider.asked == [OWN]
    assert len(await api.services.store.projects.list()) == 2


async def test_a_key_is_never_taken_from_the_url_or_beside_another(api: Client, provider: Provider) -> None:
    """A URL is logged, and of two keys nobody can tell which one is meant."""
    provider.good = {OWN}
    assert (await api.call("GET", f"/v1/me?api_key={OWN}", headers={}))[0] == 401
    assert (await me(api, OWN, **{"X-API-Key": OTHER}))[0] == 400
    assert provider.asked == []


async def test_tokens_of_one_login_share_a_project(api: Client, provider: Provider) -> None:
    """The account has the newest, and its id stays; another login's token has another project."""
    first, second, other = token("alice", number=1), token("alice", number=2), token("bob")
    provider.good = {first, second, other}
    found = []
    for each in (first, second, first, other):
        _, body = await me(api, each)
        _, accounts = await api.call("GET", "/v1/accounts", headers={"Authorization": f"Bearer {each}"})
        found.append((body["project"]["id"], [account["id"] for account in accounts["data"]]))
    assert found[0] == found[1] == found[2] != found[3]
    assert provider.asked == [
        first,
        second,
        other,
    ]  # `first` was good a moment ago, although another replaced it


async def test_a_key_that_was_replaced_logs_in_no_more(api: Client, provider: Provider) -> None:
    """Its successor has its project; the provider may still accept both."""
    provider.good = {OWN, OTHER}
    _, before = await me(api, OWN)
    login = {"Authorization": f"Bearer {OWN}"}
    _, accounts = await api.call("GET", "/v1/accounts", headers=login)
    path = f"/v1/accounts/{accounts['data'][0]['id']}/credential"
    assert (await api.call("PUT", path, json={"credential": OTHER}, headers=login))[0] == 200
    async with asyncio.timeout(10):
        while (await me(api, OWN))[0] != 401:
            pass
    assert (await me(api, OTHER))[1]["project"] == before["project"]


class Gate:
    """Logs in with a clock of its own."""

    def __init__(self, api: Client) -> None:
        self.now_s = 1000.0
        clock = lambda: self.now_s  # noqa: E731 -- read anew at each call
        passthrough = Passthrough(api.services, clock_s=clock)
        self.passthrough = passthrough
        self._gate = Authenticator(api.services.store.apikeys, passthrough=passthrough, clock_s=clock)

    async def enter(self, key: str, client: str = "192.0.2.1") -> str:
        """Return the name of the error, or the project."""
        try:
            return (await self._gate.authenticate(Presented(text=key), lambda: client)).project
        except (RateLimited, Unauthorized, Unavailable) as error:
            return type(error).__name__


def numbered(count: int, first: int = 0) -> Iterator[str]:
    yield from (f"rm_{number:032}" for number in range(first, first + count))


async def test_an_address_tries_few_new_keys(api: Client, provider: Provider) -> None:
    """Ten a minute, all addresses sixty; keys that are known pass all the same."""
    gate = Gate(api)
    provider.good = {OWN}
    project = await gate.enter(OWN, "192.0.2.9")
    assert [await gate.enter(key) for key in numbered(11)] == ["Unauthorized"] * 10 + ["RateLimited"]
    others = [await gate.enter(key, f"198.51.100.{n}") for n, key in enumerate(numbered(60, 100))]
    assert others.count("Unauthorized") == 60 - 10 - 1
    assert len(provider.asked) == 60
    gate.now_s += GOOD_S + 1
    for key in numbered(80, 500):
        await gate.enter(key, key)
    assert await gate.enter(OWN) == project


async def test_a_key_is_checked_again_after_ten_minutes(api: Client, provider: Provider) -> None:
    """And at once when its provider refused it meanwhile; a refused one after a minute."""
    gate = Gate(api)
    provider.good = {OWN}
    project = await gate.enter(OWN)
    gate.now_s += GOOD_S - 1
    assert (await gate.enter(OWN), len(provider.asked)) == (project, 1)
    gate.now_s += 2
    assert (await gate.enter(OWN), len(provider.asked)) == (project, 2)
    provider.good = set()
    gate.passthrough.note_refusal(OWN)
    assert (await gate.enter(OWN), await gate.enter(OWN), len(provider.asked)) == ("Unauthorized",) * 2 + (3,)
    provider.good = {OWN}
    gate.now_s += BAD_S + 1
    assert (await gate.enter(OWN), len(provider.asked)) == (project, 4)


async def test_a_token_is_good_no_longer_than_it_says(api: Client, provider: Provider) -> None:
    """Its provider is asked again once it has expired."""
    gate = Gate(api)
    short = token("carol", expires_s=api.services.clock_ms() // 1000 + 30)
    provider.good = {short}
    await gate.enter(short)
    gate.now_s += 31
    await gate.enter(short)
    assert provider.asked == [short, short]


async def test_a_known_key_costs_the_store_little(api: Client, provider: Provider) -> None:
    """Fifty requests at once share what is read of it, as those with a key of the bridge do."""
    provider.good = {OWN}
    _, body = await me(api, OWN)
    gate = Gate(api)
    await gate.enter(OWN)
    redis = api.services.store.redis
    before = (await redis.info("stats"))["total_commands_processed"]
    assert {await gate.enter(OWN) for _ in range(50)} == {body["project"]["id"]}
    assert (await redis.info("stats"))["total_commands_processed"] - before < 10


async def test_a_start_survives_a_credential_that_a_caller_logged_in_with(
    api: Client, provider: Provider, store_socket: Path
) -> None:
    """One that is configured afterwards stays with the project that has it."""
    provider.good = {REELBOT}
    _, body = await me(api, REELBOT)
    settings = make_settings(
        store_socket, REELBOT_API_KEY=REELBOT, REELBOT_BASE_URL=f"{provider.url}/reelbot/api"
    )
    async with open_services(settings) as services:
        await bootstrap(services)
        account = await services.store.accounts.find("reelbot", REELBOT)
    assert account is not None
    assert account.project == body["project"]["id"]


async def test_nothing_of_a_key_is_stored_in_clear(api: Client, provider: Provider) -> None:
    """Projects, accounts and the index of credentials hold hashes and sealed values alone."""
    provider.good = {OWN}
    await me(api, OWN)
    redis = api.services.store.redis
    for table in (keys.PROJECTS, keys.ACCOUNTS, keys.CREDENTIALS, keys.API_KEYS):
        rows = await redis.hgetall(table)  # type: ignore[misc]  # redis-py types both clients at once
        assert not any(OWN.encode() in part for row in rows.items() for part in row)
