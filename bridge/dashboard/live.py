"""A page's stream: the parts that have changed, as HTML, at most once a second.

One render a second of a page serves all who look at it with the same scopes.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bridge.api.routing import API
from bridge.api.server import HttpConnection
from bridge.api.waiting.event_stream import StreamClient
from bridge.api.waiting.waiters import Waiter, Waiters, WaitLimits
from bridge.dashboard import rendering
from bridge.dashboard.desk import Desk, check_page, safe_path
from bridge.dashboard.page import DashboardPage, Visit
from bridge.dashboard.sessions import SignedIn
from bridge.errors import NotFound, Unauthorized
from bridge.store.errors import STORE_ERRORS

LIMITS: Final = WaitLimits(noun="open pages", advice="close some", per_project=100, at_most=500)
PER_SESSION: Final = 4  # a browser has six connections to a host, and pages need some
EVERY_S: Final = 1.0
BEAT_S: Final = 10.0
MOST_PAGES: Final = 1_000


@dataclass(slots=True)
class _Render:
    at_s: float
    parts: "asyncio.Task[dict[str, str]]"


class Live:
    """The streams of one process."""

    def __init__(self, app: web.Application, desk: Desk) -> None:
        """Take the application and what knows who is signed in."""
        self._app = app
        self._desk = desk
        self._pages: dict[object, DashboardPage] = {}
        self._renders: dict[tuple[object, ...], _Render] = {}
        self._streams: dict[str, list[Waiter]] = {}
        self.waiters = Waiters(LIMITS)

    def add(self, handler: object, page: DashboardPage) -> None:
        """Let a page have streams; `handler` is what serves it."""
        self._pages[handler] = page

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send what changes on the page that the query names."""
        session = await self._desk.sessions.find(request)
        if session is None:
            raise Unauthorized("sign in again")
        page, visit = await self._find_page(request, session)
        assert isinstance(request.protocol, HttpConnection), "the server makes no others"
        client = StreamClient(request, request.protocol, self._app[API].stream_timing)
        client.response.headers.popall("Access-Control-Allow-Origin", None)
        mine = self._streams.setdefault(session.digest, [])
        with self.waiters.enter(visit.project, session.digest) as waiter:
            mine.append(waiter)
            if len(mine) > PER_SESSION:
                mine.pop(0).end()
            try:
                with request.protocol.telling_when_lost(waiter.end):
                    await self._run(request, client, waiter, page, visit)
            except TimeoutError:
                client.cut()
            finally:
                if waiter in mine:
                    mine.remove(waiter)
                if not mine:
                    self._streams.pop(session.digest, None)
        return client.response

    async def _find_page(self, request: web.Request, session: SignedIn) -> tuple[DashboardPage, Visit]:
        path = safe_path(request.query.get("page", ""))
        asked = request.clone(rel_url=path or "/")
        found = await self._app.router.resolve(asked)
        page = self._pages.get(found.handler)
        if not path or page is None:
            raise NotFound("this page has nothing that changes")
        visit = self._desk.visit(asked, session, path=found)
        check_page(page, visit)
        return page, visit

    async def _run(
        self, request: web.Request, client: StreamClient, waiter: Waiter, page: DashboardPage, visit: Visit
    ) -> None:
        loop = asyncio.get_running_loop()
        await client.open(retry_ms=2_000, cursor=0)
        shown: dict[str, str] | None = None
        beat_s = 0.0
        while not waiter.ended:
            session = await self._find_session(request)
            if session is None:
                await client.write(b"event: signed-out\ndata: {}\n\n")
                break
            try:
                parts = await self._render(page, visit)
            except STORE_ERRORS:
                parts = shown or {}
            # What changed between the page's own render and now cannot be told, so the first time all is sent.
            changed = parts if shown is None else rendering.find_changes(shown, parts)
            shown = parts
            for name, html in changed.items():
                data = json.dumps({"id": name, "html": rendering.personalise(html, session)})
                await client.write(f"event: part\ndata: {data}\n\n".encode())
            if loop.time() >= beat_s:
                await client.write(b"event: beat\ndata: {}\n\n")
                beat_s = loop.time() + BEAT_S
            await waiter.sleep(EVERY_S)
        else:
            await client.write(b"event: yield\ndata: {}\n\n")
        await client.end()

    async def _find_session(self, request: web.Request) -> SignedIn | None:
        """Return the session as it is now: a revoked key ends its streams."""
        while True:
            try:
                return await self._desk.sessions.find(request)
            except STORE_ERRORS:
                await asyncio.sleep(EVERY_S)

    async def _render(self, page: DashboardPage, visit: Visit) -> dict[str, str]:
        """Return the live parts of a page, at most a second old."""
        now_s = asyncio.get_running_loop().time()
        key = (visit.project, visit.key.scopes, visit.url)
        known = self._renders.get(key)
        if known is None or now_s - known.at_s >= EVERY_S * 0.9:
            if len(self._renders) >= MOST_PAGES:
                self._renders.pop(next(iter(self._renders)))
            known = self._renders[key] = _Render(now_s, asyncio.create_task(self._read(page, visit)))
        return await asyncio.shield(known.parts)

    async def _read(self, page: DashboardPage, visit: Visit) -> dict[str, str]:
        view = await page.read(visit)
        return rendering.find_live(rendering.render(self._app, view, visit, None))
