"""The API over a real socket with a real store, and no worker behind it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from msgspec.structs import replace

from bridge.api.app import build_app
from bridge.api.routing import API
from bridge.api.server import listening
from bridge.config.settings import Settings, load_settings
from bridge.container import bootstrap, open_services
from bridge.domain.deliveries.records import Attempt, DeliveryState, new_delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.events.samples import samples
from bridge.domain.ids import event_id, read_callback_job
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.store.unit_of_work import UnitOfWork

KEY = "brk_" + "a" * 40
MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BEARER = {"Authorization": f"Bearer {KEY}"}


class Client:
    """Talks to one running API with a key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, services: Services) -> None:
        self.http = http
        self.url = url
        self.services = services

    @staticmethod
    def session() -> aiohttp.ClientSession:
        """A session without cookies."""
        return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

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


def make_settings(socket: Path, **chosen: Any) -> Settings:
    return load_settings(
        _env_file=None,
        redis_url=f"unix://{socket}",
        api_key=KEY,
        **{
            "host": "127.0.0.1",
            "port": 0,
            "master_keys": MASTER_KEY,
            "REELMIRROR_API_KEY": "rm_" + "b" * 32,
            "REELBOT_API_KEY": "rb_live_" + "c" * 32,
            "REELMIRROR_BASE_URL": "http://127.0.0.1:9/api",
            "REELBOT_BASE_URL": "http://127.0.0.1:9/api",
            **chosen,
        },
    )


@asynccontextmanager
async def serving(
    settings: Settings, *, prepare: Callable[[web.Application], None] = lambda _: None
) -> AsyncIterator[Client]:
    """Run the API as `main` does, on a free port; `prepare` gets it before."""
    async with open_services(settings) as services:
        await services.store.redis.flushall()
    async with open_services(settings) as services:
        await bootstrap(services)
        app = build_app(services)
        prepare(app)
        async with running(app) as url, Client.session() as http:
            yield Client(http, url, services)


@asynccontextmanager
async def running(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """Listen on a free port and yield the address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        async with listening(runner, app[API].services.settings, **options) as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def tell(
    client: Client, callback: dict[str, Any], type_: str = "sync_job.completed", *, job_id: str | None = None
) -> tuple[str, str]:
    """Write an event and its delivery as a worker would, and return their ids."""
    services = client.services
    key = read_callback_job(callback["id"])
    assert key is not None
    loaded = await services.store.load_job(key)
    assert loaded is not None
    job = loaded.record
    now_ms = services.clock_ms()
    event = event_id(project=job.project, key=key, born_ms=job.born_ms, run=job.run, fact=type_)
    body = {**samples(CATALOGUE, type_)[0], "id": event, "job_id": job_id or job.id}
    delivery = new_delivery(
        event=event,
        job=key,
        subscription=callback["id"],
        project=job.project,
        lane=f"{job.project} inbox:",
        now_ms=now_ms,
    )
    draft = UnitOfWork(key[0], now_ms=now_ms, retention_s=3600)
    draft.put_event(
        EventRecord(
            id=event, type=type_, project=job.project, job=key, at_ms=now_ms, body=json.dumps(body).encode()
        )
    )
    draft.add_delivery(delivery, 60_000)
    assert await services.store.committer.commit(draft.change()) == "done"
    await services.store.feed.publish(job.project, [event])
    return event, delivery.id


async def settle(client: Client, delivery: str, state: DeliveryState, *attempts: Attempt) -> None:
    """Write how a delivery ended, as a worker would."""
    loaded = await client.services.store.load_delivery(delivery)
    assert loaded is not None
    ended = replace(
        loaded.record, state=state, attempts=attempts, tries=len(attempts), done_ms=client.services.clock_ms()
    )
    draft = UnitOfWork(delivery[4], now_ms=client.services.clock_ms(), retention_s=3600)
    draft.put_delivery(ended, loaded)
    draft.drop_attempt(ended)
    assert await client.services.store.committer.commit(draft.change()) == "done"
