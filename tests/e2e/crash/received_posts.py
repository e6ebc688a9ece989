"""What receivers got: every POST, when it arrived and when its answer was sent."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from tests.e2e.processes import Receiver, running_receiver


@dataclass(frozen=True, kw_only=True)
class Post:
    """One POST as the receiver saw it; `answered_at` is when its answer was sent."""

    event: str
    type: str
    job: str
    hook: str
    arrived_at: float
    answered_at: float


@dataclass
class ReceivedPosts:
    """What several receivers got; every answer takes a moment, so that kills meet attempts in flight."""

    receivers: Sequence[Receiver]
    dice: random.Random
    posts: list[Post] = field(default_factory=list)
    first_at: dict[str, float] = field(default_factory=dict)
    open: int = 0  # POSTs that came and have no answer yet
    pause_s: tuple[float, float] = (0.05, 1.0)

    def url(self, number: int, hook: str) -> str:
        """Give a hook's URL at one of the receivers."""
        return f"{self.receivers[number % len(self.receivers)].url}/hook?{hook}"

    async def answer(self, request: web.Request, _: bytes) -> web.StreamResponse:
        """Answer 200 after a pause, and write the POST down whatever becomes of the connection."""
        arrived_at = time.time()
        body = await request.json()
        self.first_at.setdefault(request.query_string, arrived_at)
        self.open += 1
        try:
            await asyncio.sleep(self.dice.uniform(*self.pause_s))
        finally:
            self.open -= 1
            self.posts.append(
                Post(
                    event=request.headers["webhook-id"],
                    type=body["type"],
                    job=body["job_id"],
                    hook=request.query_string,
                    arrived_at=arrived_at,
                    answered_at=time.time(),
                )
            )
        return web.Response(text="ok")

    def by_hook(self) -> dict[str, list[Post]]:
        """Give every hook's POSTs in order."""
        found: dict[str, list[Post]] = defaultdict(list)
        for post in sorted(self.posts, key=lambda each: each.arrived_at):
            found[post.hook].append(post)
        return found


@contextlib.asynccontextmanager
async def recording_receivers(seed: int, *, receivers: int = 6) -> AsyncIterator[ReceivedPosts]:
    """Run several receivers, which are as many destinations, with one received."""
    async with contextlib.AsyncExitStack() as stack:
        running = [await stack.enter_async_context(running_receiver()) for _ in range(receivers)]
        received = ReceivedPosts(receivers=running, dice=random.Random(seed))
        for receiver in running:
            receiver.behaviours["/hook"] = received.answer
        yield received
