"""Two APIs and a worker on one store, of which the first API is killed again and again; and clients that repeat their calls."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.api.serving import KEY, MASTER_KEY
from tests.e2e.processes import RB_KEY, RM_KEY, SCALE, Process, Simulator, reelbridge

GENERATE = "/reelmirror/api/v1/generate"
REPEAT_S = 2.0  # as the bridge asks for: sooner it does not look again
DECIDED = frozenset({"unknown_outcome", "consumed"})


@dataclass
class Outcome:
    """What a client got in the end: status, headers and body of its last try."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def word(self) -> str:
        """The bridge's own word for a refusal, empty for an answer of the provider."""
        return self.headers.get("X-Reelbridge-Error", "")


class LossyService:
    """The processes, and where they listen."""

    def __init__(self, simulator: Simulator, socket: Path, *, key: str = KEY, scale: float = SCALE) -> None:
        self._simulator = simulator
        self._key = key
        self._scale = scale
        self._socket = socket
        self.apis = [self._start("api"), self._start("api")]
        self.worker = self._start("worker")
        self.urls = [self._wait_ready(api) for api in self.apis]
        self.worker.wait_for("worker.ready")

    def _start(self, command: str) -> Process:
        env = {
            "REELBRIDGE_REDIS_URL": f"unix://{self._socket}",
            "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
            "REELBRIDGE_API_KEY": self._key,
            "REELBRIDGE_PORT": "0",
            "REELBRIDGE_DATA_DIR": str(self._socket.parent),
            "REELMIRROR_API_KEY": RM_KEY,
            "REELMIRROR_BASE_URL": f"{self._simulator.url}/reelmirror/api",
            "REELBOT_API_KEY": RB_KEY,
            "REELBOT_BASE_URL": f"{self._simulator.url}/reelbot/api",
            "REELBRIDGE_POLL_SCALE": str(self._scale),
        }
        return reelbridge(command, env=env, cwd=self._socket.parent)

    @staticmethod
    def _wait_ready(api: Process) -> str:
        port = api.wait_for(r'"port":\s?"?(\d+)')[1]
        return f"http://127.0.0.1:{port}"

    def kill_first(self) -> None:
        """Kill the first API with -9."""
        self.apis[0].kill()

    def restart_first(self) -> None:
        """Start the first API again."""
        self.apis[0] = self._start("api")
        self.urls[0] = self._wait_ready(self.apis[0])

    def stop(self) -> None:
        """Kill all processes."""
        for process in (*self.apis, self.worker):
            process.kill()

    async def list_posts(self, persona: str) -> list[dict[str, Any]]:
        """Return the posts of a persona, as the provider lists them."""
        url = f"{self._simulator.url}/reelmirror/api/v1/personas/{persona}/generated-posts?limit=100"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {RM_KEY}"}) as http,
            http.get(url) as answer,
        ):
            return list((await answer.json()).get("data", []))


async def call_once(http: aiohttp.ClientSession, url: str, persona: str, source: str) -> Outcome | None:
    """Begin a post of a source, with the source as key; return None if the connection broke."""
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Idempotency-Key": source,
        "X-Webhook-URL": f"inbox:{persona}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"persona_id": persona, "source_post_id": source})
    try:
        async with http.post(url + GENERATE, headers=headers, data=body) as answer:
            return Outcome(answer.status, dict(answer.headers), json.loads(await answer.read()))
    except (aiohttp.ClientError, ConnectionError):
        return None


async def repeat_until_decided(
    http: aiohttp.ClientSession, url: str, persona: str, source: str, *, patience: int = 4
) -> Outcome:
    """Repeat a call with its key until it has an answer of the provider, or stays uncertain so many times."""
    doubts = 0
    while True:
        outcome = await call_once(http, url, persona, source)
        assert outcome is not None, "this API lives"
        doubts += outcome.word in DECIDED
        if outcome.status < 300 or doubts >= patience:
            return outcome
        await asyncio.sleep(REPEAT_S)


def count_by_source(posts: Sequence[dict[str, Any]]) -> Counter[str]:
    """Return how many posts were made of each source."""
    return Counter(str(post["source_post_id"]) for post in posts)
