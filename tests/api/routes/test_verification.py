"""`verify: true`: one read of each job before it is registered, which spares an account that must be left alone."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.store import keys
from tests.api.serving import Client, make_settings, serving

WINDOW_S = 60
REFUSALS = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "RATE_LIMITED", 503: "UNAVAILABLE"}


@dataclass
class Provider:
    """An upstream that knows every job, unless told to answer otherwise."""

    room: int | None = None  # requests that the window still has; None: it says nothing of that
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the documents say."""
        job_id = request.path.rsplit("/", 1)[1]
        self.asked.append(job_id)
        headers = {}
        if self.room is not None:
            self.room -= 1
            reset_s = round(time.time()) + WINDOW_S
            headers = {"X-RateLimit-Remaining": str(max(0, self.room)), "X-RateLimit-Reset": str(reset_s)}
        status = self.statuses.get(job_id, 200 if self.room is None or self.room >= 0 else 429)
        if status == 429:
            headers["Retry-After"] = str(WINDOW_S)
        if status == 200:
            return web.json_response({"data": {"id": job_id, "status": "running"}}, headers=headers)
        body = {"error": {"code": REFUSALS[status], "message": "no"}}
        return web.json_response(body, status=status, headers=headers)


@asynccontextmanager
async def listening(provider: Provider) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", provider.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def api(store_socket: Path, provider: Provider) -> AsyncIterator[Client]:
    async with (
        listening(provider) as url,
        serving(make_settings(store_socket, REELMIRROR_BASE_URL=f"{url}/api")) as client,
    ):
        yield client


async def ask(api: Client, *job_ids: str, **fields: Any) -> tuple[int, Any, dict[str, str]]:
    body = {"job_ids": list(job_ids), "callback_url": "inbox:", "verify": True, **fields}
    return await api.ask("POST", "/v1/callbacks", json=body)


async def account_of(api: Client) -> tuple[str, str]:
    """The account's shard and id."""
    accounts = await api.services.store.accounts.list("prj_default")
    (account,) = (each for each in accounts if each.provider == "reelmirror")
    return api.services.store.shard_of(account.id), account.id


async def sleeps_for_s(api: Client) -> float:
    """How long the account's polls are put off."""
    shard, account = await account_of(api)
    until_ms = (await api.services.store.poll.blocked(shard, [account])).get(account, 0)
    return (until_ms - api.services.clock_ms()) / 1000


async def count_callbacks(api: Client) -> int:
    return len((await api.call("GET", "/v1/callbacks"))[1]["data"])


async def test_every_job_of_a_list_is_read_once(api: Client, provider: Provider) -> None:
    """And then registered."""
    wanted = [f"j{number}" for number in range(25)]
    status, body, _ = await ask(api, *wanted)
    assert (status, len(body["data"])) == (201, 25)
    assert sorted(provider.asked) == sorted(wanted)


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (401, "UNAUTHORIZED"), (403, "FORBIDDEN")])
async def test_one_bad_job_and_none_is_registered(
    api: Client, provider: Provider, status: int, code: str
) -> None:
    """The message names what is wrong; all or none."""
    provider.statuses = {"j3": status}
    got, body, _ = await ask(api, "j1", "j2", "j3")
    assert (got, body["error"]["code"]) == (status, code)
    assert await count_callbacks(api) == 0


async def test_the_first_429_ends_it_and_quiets_the_polls(api: Client, provider: Provider) -> None:
    """The other jobs are not asked for, neither now nor by a repeat before the window's end."""
    provider.statuses = {"j0": 429}
    for _ in range(2):
        status, body, headers = await ask(api, *(f"j{number}" for number in range(25)))
        assert (status, body["error"]["code"]) == (429, "RATE_LIMITED")
        assert WINDOW_S - 10 < int(headers["Retry-After"]) <= WINDOW_S
        assert provider.asked == ["j0"]
    assert WINDOW_S - 10 < await sleeps_for_s(api) <= WINDOW_S
    assert await count_callbacks(api) == 0
    status, _, _ = await ask(api, "j0", verify=False)
    assert status == 201, "a registration without it goes on"


@pytest.mark.parametrize(("room", "asked", "status"), [(25, 25, 201), (24, 1, 429), (1, 1, 429)])
async def test_a_list_longer_than_the_window_has_room_costs_one_read(
    api: Client, provider: Provider, room: int, asked: int, status: int
) -> None:
    """The polls keep what is left of it; a list that fits may use it up, and the account's budget knows it."""
    provider.room = room
    got, _, headers = await ask(api, *(f"j{number}" for number in range(25)))
    assert (got, len(provider.asked)) == (status, asked)
    assert ("Retry-After" in headers) == (status == 429)
    if room == asked:
        _, listed = await api.call("GET", "/v1/accounts")
        budget = next(each["budget"] for each in listed["data"] if each["provider"] == "reelmirror")
        assert budget["remaining"] == 0


async def test_a_refused_key_is_not_tried_by_every_registration(api: Client, provider: Provider) -> None:
    """Once confirmed, one read an interval speaks for all; the first good one ends the outage for the polls too."""
    store = api.services.store
    _, account = await account_of(api)
    provider.statuses = {"j1": 401}
    for _ in range(4):
        assert (await ask(api, "j1"))[0] == 401
    assert (await store.health.load(account)).outage_ms > 0
    assert len(provider.asked) == 3, "refused, confirmed, and the one try of the interval"
    provider.statuses = {}
    assert (await ask(api, "j1"))[0] == 401, "tried lately"
    place = keys.account(store.shard_of(account), account)
    await store.redis.hset(place, "probed_ms", "1")  # type: ignore[misc]  # redis-py types both clients at once
    assert (await ask(api, "j1"))[0] == 201
    assert (await store.health.load(account)).well


async def test_a_503_says_when_to_come_again(api: Client, provider: Provider) -> None:
    """As long as the documents ask for."""
    provider.statuses = {"j1": 503}
    status, body, headers = await ask(api, "j1")
    assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "SERVICE_UNAVAILABLE", "60")
