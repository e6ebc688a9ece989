"""An upstream with scripted answers, and a poll handler that a test runs step by step."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.records import Job, PollLog
from bridge.store.queue.lanes import Settled
from tests.api.serving import Client, make_settings, serving
from workers.handlers.poll import PollHandler

PERSONA = "n1"
LIST = f"/v1/personas/{PERSONA}/generated-posts"
POSTS = "/v1/generated-posts/"
GONE = {"error": {"code": "NOT_FOUND", "message": "not found"}}


@dataclass
class UpstreamClient:
    """Answers by path from a script, repeating the last answer; an unknown path is a 404. `meanwhile` runs before an answer."""

    url: str = ""
    answers: dict[str, deque[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    meanwhile: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    def lay(self, path: str, body: Any, *, status: int = 200, **headers: str) -> None:
        """Add one more answer for a path."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, deque()).append((status, body, named))

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/api")
        self.asked.append(path)
        if path in self.meanwhile:
            await self.meanwhile[path]()
        laid = self.answers.get(path, deque([(404, GONE, {})]))
        status, body, headers = laid.popleft() if len(laid) > 1 else laid[0]
        return web.json_response(body, status=status, headers=headers)


@asynccontextmanager
async def running_upstream() -> AsyncIterator[UpstreamClient]:
    upstream = UpstreamClient()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
        yield upstream
    finally:
        await runner.cleanup()


@asynccontextmanager
async def polled(socket: Path, **chosen: Any) -> AsyncIterator["Bench"]:
    """Run an API on an empty store, and an upstream for its polling."""
    async with running_upstream() as upstream:
        settings = make_settings(socket, REELMIRROR_BASE_URL=upstream.url, **chosen)
        async with serving(settings) as api:
            yield Bench(api=api, upstream=upstream, polling=PollHandler(api.services))


@dataclass
class Bench:
    """One API and its store, with a worker's poll handler that a test runs step by step."""

    api: Client
    upstream: UpstreamClient
    polling: PollHandler

    async def register(self, job_id: str, kind: str = "generated_post", **fields: Any) -> str:
        """Register a job and return its key."""
        named = {"kind": kind, "job_id": job_id, **fields}
        if kind == "generated_post":
            named.setdefault("persona_id", PERSONA)
        made = await self.api.register(**named)
        key = read_callback_job(made["id"])
        assert key is not None
        return key

    async def turn(self, *, first: str = "") -> list[str]:
        """Claim what is due, plan, read and settle; give the paths that were asked for.

        Reads are one after the other in the order of the plan, which time decides; `first` is a job to begin with.
        """
        lanes, before = self.api.services.store.poll, len(self.upstream.asked)
        shard, lane, _ = (await lanes.peek())[0]
        claim = await lanes.claim(shard, [(lane, 0)], most=100, page=100, lease_ms=60_000)
        tasks, settled = await self.polling.load(shard, claim)
        await lanes.settle(shard, settled)
        for task in sorted(tasks, key=lambda task: first not in [held.key for held in task.jobs]):
            await lanes.settle(shard, list(await self.polling.work(task)))
        return self.upstream.asked[before:]

    async def job(self, key: str) -> Job:
        loaded = await self.api.services.store.load_job(key)
        assert loaded is not None
        return loaded.record

    async def log(self, key: str) -> PollLog:
        loaded = await self.api.services.store.load_log(key)
        return loaded.record if loaded else PollLog()

    async def due_ms(self, key: str) -> int:
        """Return when the job is due, negative while it is claimed."""
        due_ms = await self.api.services.store.poll.due_of(key[0], (await self.job(key)).account, key)
        assert due_ms is not None
        return due_ms

    async def put_off(self, key: str, delay_ms: int) -> int:
        """Make a job due later and return when."""
        lanes, account = self.api.services.store.poll, (await self.job(key)).account
        claim = await lanes.hold(key[0], account, [key], lease_ms=60_000)
        assert claim.items, "it waits"
        await lanes.settle(key[0], [Settled(account, key, claim.token, delay_ms)])
        return await self.due_ms(key)

    async def event_types(self, key: str) -> list[str]:
        """Return the types of a job's events, oldest first."""
        store = self.api.services.store
        found = [await store.load_event(each) for each in await store.indexes.job_events(key)]
        return [event.type for event in found if event is not None]
