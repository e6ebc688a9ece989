"""Two API processes on one store: what was changed through one is soon known to the other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bridge.store import keys
from tests.api.serving import BEARER, KEY, MASTER_KEY
from tests.api.store_server import running_store
from tests.e2e.processes import Process, reelbridge, until

pytestmark = pytest.mark.slow

CREDENTIAL = "rm_fedcba9876543210fedcba9876543210"


class Apis:
    """Two APIs, by number."""

    def __init__(self, http: aiohttp.ClientSession, urls: list[str], store: Redis) -> None:
        self._http = http
        self._urls = urls
        self.store = store

    async def ask(
        self, api: int, method: str, path: str, headers: dict[str, str], body: object = None
    ) -> Any:
        """Return status and JSON."""
        url = self._urls[api] + path
        async with self._http.request(method, url, headers=headers, json=body) as answer:
            return answer.status, await answer.json()

    async def register(self, api: int, headers: dict[str, str], **fields: str) -> int:
        """Register a callback and return the status."""
        body = {"callback_url": "inbox:", "job_id": "1", **fields}
        status, _ = await self.ask(api, "POST", "/v1/callbacks", headers, body)
        return int(status)

    async def make_project(self) -> tuple[str, dict[str, str]]:
        """Return a new project with an account, and a login of its own."""
        _, project = await self.ask(0, "POST", "/v1/projects", BEARER, {"name": "other"})
        login = {"X-API-Key": project["key"]}
        account = {"provider": "reelmirror", "credential": CREDENTIAL}
        assert (await self.ask(0, "POST", "/v1/accounts", login, account))[0] == 201
        return str(project["id"]), login


def start_api(socket: Path) -> Process:
    return reelbridge(
        "api",
        env={
            "REELBRIDGE_REDIS_URL": f"unix://{socket}",
            "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
            "REELBRIDGE_API_KEY": KEY,
            "REELBRIDGE_PORT": "0",
            "REELBRIDGE_DATA_DIR": str(socket.parent),
        },
        cwd=socket.parent,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The store's socket, and the addresses of the APIs on it."""
    with running_store(tmp_path_factory.mktemp("apis")) as socket, ExitStack() as stack:
        started = [start_api(socket), start_api(socket)]
        for process in started:
            stack.callback(process.kill)
        ports = [process.wait_for(r'"port":\s?"?(\d+)')[1] for process in started]
        yield socket, [f"http://127.0.0.1:{port}" for port in ports]


@pytest.fixture
async def apis(place: tuple[Path, list[str]]) -> AsyncIterator[Apis]:
    socket, urls = place
    async with Redis(unix_socket_path=str(socket)) as store, aiohttp.ClientSession() as http:
        yield Apis(http, urls, store)


async def test_a_revoked_key_is_refused_by_every_process(apis: Apis) -> None:
    """Also by one that has just accepted it; and it is never accepted again."""
    _, made = await apis.ask(0, "POST", "/v1/keys", BEARER, {"name": "n8n", "scopes": ["register", "read"]})
    login = {"X-API-Key": made["key"]}
    assert [(await apis.ask(api, "GET", "/v1/me", login))[0] for api in (0, 1, 0, 1)] == [200] * 4
    assert (await apis.ask(0, "DELETE", f"/v1/keys/{made['id']}", BEARER))[0] == 200
    assert (await apis.ask(0, "GET", "/v1/me", login))[0] == 401

    async def is_refused() -> bool:
        return bool((await apis.ask(1, "GET", "/v1/me", login))[0] == 401)

    await until(is_refused, within_s=5)
    assert [(await apis.ask(api, "GET", "/v1/me", login))[0] for api in (0, 1, 0, 1)] == [401] * 4


async def test_a_deleted_project_registers_nothing(apis: Apis) -> None:
    """Its keys are refused by every process."""
    project, login = await apis.make_project()
    assert [await apis.register(api, login) for api in (0, 1)] == [201, 200]
    await apis.store.hdel(keys.PROJECTS, project)  # type: ignore[misc]  # redis-py types both clients at once
    for api in (0, 1):

        async def is_refused(api: int = api) -> bool:
            return await apis.register(api, login) == 401

        await until(is_refused, within_s=5)
        assert await apis.register(api, login) == 401


async def test_an_account_is_used_at_once_wherever_it_was_added(apis: Apis) -> None:
    """By the process that was asked, and by the other one that has just known of none."""
    _, project = await apis.ask(0, "POST", "/v1/projects", BEARER, {"name": "another"})
    login = {"X-API-Key": project["key"]}
    assert [await apis.register(api, login) for api in (0, 1, 0, 1)] == [400] * 4
    credential = {"provider": "reelmirror", "credential": CREDENTIAL.replace("fed", "aaa")}
    _, first = await apis.ask(0, "POST", "/v1/accounts", login, credential)
    assert await apis.register(1, login) == 201
    second = {"provider": "reelmirror", "credential": CREDENTIAL.replace("fed", "bbb")}
    _, added = await apis.ask(0, "POST", "/v1/accounts", login, second)
    assert await apis.register(1, login, account_id=added["id"]) == 201
    assert await apis.register(0, login, account_id=first["id"]) == 200
