"""One key's sixty requests a minute: a thousand posts are watched, and the client's own calls go through."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.e2e.processes import (
    RM_KEY,
    Bridge,
    Receiver,
    Simulator,
    running_bridge,
    running_simulator,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SPEED = 20
WINDOW_S = 60 / SPEED
POSTS, PERSONAS = 1000, 10
CLIENT_EVERY_S = WINDOW_S / 20  # the client asks 20 times a minute itself


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with running_simulator(speed=SPEED) as simulator:
        yield simulator


@pytest.fixture
async def calm(upstream: Simulator) -> Simulator:
    """An upstream as just started, whose windows are told to the millisecond: they are twenty times as short."""
    await upstream.control("POST", "/reset")
    await upstream.control("PUT", "/switches", {"rate_reset": "ms"})
    return upstream


@pytest.fixture
def bridge(calm: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("bridge")
    with running_bridge(calm, folder, REELBRIDGE_POLL_SCALE=str(1 / SPEED)) as running:
        yield running


def post(persona: int, dice: random.Random) -> dict[str, Any]:
    """A post with one item, which lives as long as the Webhooks guide says; images to videos 4 : 3."""
    media, low, high = ("image", 20, 90) if dice.random() < 4 / 7 else ("video", 60, 300)
    name = f"item-{dice.getrandbits(64):x}"
    done = {"status": "completed", "url": f"https://cdn.example/{name}"}
    return {
        "kind": "generated_post",
        "persona_id": f"persona-{persona}",
        "set": {"status": "generating"},
        "items": [{"id": name, "media_type": media, "status": "generating"}],
        "script": [
            {"after_s": dice.uniform(low, high), "set": {"status": "completed"}, "items": {name: done}}
        ],
    }


@asynccontextmanager
async def busy_client(simulator: Simulator) -> AsyncIterator[list[int]]:
    """Call the upstream with the bridge's own key, as the client does; gives the statuses seen."""
    statuses: list[int] = []

    async def call() -> None:
        headers = {"authorization": f"Bearer {RM_KEY}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            while True:
                async with http.get(f"{simulator.url}/reelmirror/api/v1/personas") as answer:
                    statuses.append(answer.status)
                await asyncio.sleep(CLIENT_EVERY_S)

    calling = asyncio.create_task(call())
    try:
        yield statuses
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def limited(simulator: Simulator) -> int:
    stats = await simulator.control("GET", "/stats")
    return sum(stats["limited_by_key"].values())


async def test_a_thousand_posts_under_one_key(calm: Simulator, bridge: Bridge, receiver: Receiver) -> None:
    """Every event arrives, nothing is refused once the windows are known, and the client is never in the way."""
    dice = random.Random(7)
    first = await calm.make("sync_job", set={"status": "running"})
    await bridge.register(job_id=first, callback_url=f"{receiver.url}/first")
    async with busy_client(calm) as statuses:
        await until(lambda: _has_reads(calm, first, 6))
        await asyncio.sleep(2 * WINDOW_S)  # the warm-up is time that passes
        await calm.control("DELETE", "/requests")
        statuses.clear()
        for number in range(POSTS):
            made = post(number % PERSONAS, dice)
            identifier = await calm.make(**made)
            await bridge.register(
                generated_post_id=identifier,
                persona_id=made["persona_id"],
                callback_url=f"{receiver.url}/posts",
            )
        got = await receiver.wait("/posts", count=POSTS, within_s=90)
        assert len({each.event_id for each in got}) == len(got) == POSTS
        assert {each.event["type"] for each in got} == {"generated_post.completed"}
        assert set(statuses) == {200}
    assert await limited(calm) == 0


async def _has_reads(simulator: Simulator, job_id: str, count: int) -> bool:
    found = await simulator.control("GET", f"/requests?id={job_id}")
    return bool(found["count"] >= count)
