"""The API over a real socket with a real store, and no worker behind it."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis import Redis as BlockingRedis
from redis.exceptions import ConnectionError as NotReadyError

from bridge.api.app import build_app
from bridge.api.door import listening
from bridge.compose import bootstrap, open_services
from bridge.services.context import Services
from bridge.settings import Settings, load_settings
from bridge.store.engines import find_engine

KEY = "brk_" + "a" * 40
MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BEARER = {"Authorization": f"Bearer {KEY}"}


class Client:
    """Talks to one running API with a key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, services: Services) -> None:
        self.http = http
        self.url = url
        self.services = services
        self.headers: dict[str, str] = {}

    async def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, Any]:
        """Status and JSON."""
        status, body, _ = await self.ask(method, path, headers=headers, **options)
        return status, body

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON, headers."""
        sent = BEARER if headers is None else headers
        async with self.http.request(method, self.url + path, headers=sent, **options) as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def register(self, **fields: Any) -> dict[str, Any]:
        """Register a callback to the inbox unless told otherwise."""
        status, body = await self.call("POST", "/v1/callbacks", json={"callback_url": "inbox:", **fields})
        assert status == 201, body
        return dict(body)


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private server with an append-only file, for as long as the tests run."""
    folder = tmp_path_factory.mktemp("api")
    socket = folder / "s"
    where = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--hz", "100"]
    process = subprocess.Popen([str(find_engine().binary), *where, *durable], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            with BlockingRedis(unix_socket_path=str(socket)) as redis:
                redis.ping()
                break
        except NotReadyError:
            continue
    yield socket
    process.kill()
    process.wait()


def make_settings(socket: Path, **chosen: Any) -> Settings:
    return load_settings(
        _env_file=None,
        redis_url=f"unix://{socket}",
        master_keys=MASTER_KEY,
        api_key=KEY,
        host="127.0.0.1",
        port=0,
        **{
            "REELMIRROR_API_KEY": "rm_" + "b" * 32,
            "REELBOT_API_KEY": "rb_live_" + "c" * 32,
            "REELMIRROR_BASE_URL": "http://127.0.0.1:9/api",
            "REELBOT_BASE_URL": "http://127.0.0.1:9/api",
            **chosen,
        },
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Client]:
    """Run the API as `main` does, on a free port."""
    async with open_services(settings) as services:
        await services.store.redis.flushall()
    async with open_services(settings) as services:
        await bootstrap(services)
        runner = web.AppRunner(build_app(services), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            async with (
                listening(runner, settings) as port,
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            ):
                yield Client(http, f"http://127.0.0.1:{port}", services)
        finally:
            await runner.cleanup()


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    """A running API on an empty store."""
    assert "REELBRIDGE_API_KEY" not in os.environ
    async with serving(make_settings(store_socket)) as client:
        yield client
