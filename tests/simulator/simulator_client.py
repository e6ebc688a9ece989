"""A client for the simulator's tests, with a clock that they move."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.simulator.serve import SimulatorConfig, build_app

KEY = "rm_11112222333344445555666677778888"
OTHER_KEY = "rm_99992222333344445555666677778888"
JWT = "head.payload.signature"
BOT_KEY = "rb_live_1111222233334444"
START = 1_800_000_000.0


@dataclass
class ManualClock:
    """Unix seconds that a test moves by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class SimResponse:
    """A response: status, headers, JSON (None where there is none)."""

    status: int
    headers: Mapping[str, str]
    json: Any


@dataclass
class Sim:
    """A running simulator with its clock, and short ways to call it."""

    client: TestClient[web.Request, web.Application]
    clock: ManualClock
    speed: float = 1.0

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass."""
        self.clock.now += seconds / self.speed

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> SimResponse:
        """Send any request."""
        async with self.client.request(method, path, json=body, headers=headers) as answer:
            is_json = answer.content_type == "application/json" and answer.status != 204
            return SimResponse(answer.status, dict(answer.headers), await answer.json() if is_json else None)

    async def mirror(
        self, method: str, path: str, body: Any = None, *, key: str = KEY, expect: int | None = None
    ) -> SimResponse:
        """Call ReelMirror."""
        headers = {"Authorization": f"Bearer {key}"}
        got = await self.ask(method, f"/reelmirror/api/v1{path}", body, headers)
        assert expect is None or got.status == expect, got
        return got

    async def read(self, path: str, *, key: str = KEY) -> Any:
        """Read an object from ReelMirror and return it without its envelope."""
        got = await self.mirror("GET", path, key=key, expect=200)
        return got.json.get("data", got.json.get("post", got.json))

    async def bot(
        self, method: str, path: str, body: Any = None, *, key: str = BOT_KEY, expect: int | None = None
    ) -> SimResponse:
        """Call ReelBot."""
        got = await self.ask(method, f"/reelbot/api/v1/video{path}", body, {"X-API-Key": key})
        assert expect is None or got.status == expect, got
        return got

    async def control(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """Call the control API and return its JSON."""
        got = await self.ask(method, f"/_sim{path}", body)
        assert got.status == expect if expect else got.status < 300, got
        return got.json

    async def switch(self, **switches: Any) -> None:
        """Set switches."""
        await self.control("PUT", "/switches", switches)

    async def job(self, kind: str, **fields: Any) -> str:
        """Create a job and return its id."""
        return str((await self.control("POST", "/jobs", {"kind": kind, **fields}))["id"])

    async def generate(self, source_post_id: str = "image-1", *, key: str = KEY) -> str:
        """Start a generated post for the demo persona and return its id."""
        body = {"source_post_id": source_post_id, "persona_id": "demo"}
        got = await self.mirror("POST", "/generate", body, key=key, expect=202)
        return str(got.json["generated_post_id"])

    async def finished_post(self, source_post_id: str = "image-1") -> str:
        """Start a generated post, let it end, and return its id."""
        post_id = await self.generate(source_post_id)
        self.advance(400)
        return post_id


@dataclass
class SimMaker:
    """Starts simulators and stops them."""

    _clients: list[TestClient[web.Request, web.Application]] = field(default_factory=list)

    async def __call__(self, **config: Any) -> Sim:
        """Start a simulator."""
        clock = ManualClock()
        app = build_app(SimulatorConfig(**config), clock=clock)
        client = TestClient(TestServer(app))
        await client.start_server()
        self._clients.append(client)
        return Sim(client, clock, config.get("speed", 1.0))

    async def close(self) -> None:
        """Stop all simulators."""
        for client in self._clients:
            await client.close()
