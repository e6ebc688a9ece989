"""One key's sixty requests a minute: a thousand posts are watched, and the client's own calls go through."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.e2e.generated_posts import make_post
from tests.e2e.processes import (
    RM_KEY,
    Bridge,
    Receiver,
    Simulator,
    running_bridge,
    running_simulator,
    until,
)

pytestmark = pytest.mark.slow

SPEED = 10  # a moment for which a shared machine stands still is that much longer a part of a window, too
WINDOW_S = 60 / SPEED
SEED = 7
POSTS, PERSONAS = 1000, 10
AT_ONCE = 8
OTHER_KEY = "rm_fedcba9876543210fedcba9876543210"
SYNC_EVERY_MS = 15_000 / SPEED
CLIENT_EVERY_S = WINDOW_S / 20  # the client asks 20 times a minute itself


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with running_simulator(speed=SPEED) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def bridge(upstream: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("bridge")
    with running_bridge(upstream, folder, REELBRIDGE_POLL_SCALE=str(1 / SPEED)) as running:
        yield running


@pytest.fixture
async def calm(upstream: Simulator) -> Simulator:
    """A fresh upstream whose rate-limit headers are exact to the millisecond, since its windows are short."""
    await upstream.control("POST", "/reset")
    await upstream.control("PUT", "/switches", {"rate_reset": "ms"})
    return upstream


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


@pytest.mark.timeout(240)
async def test_a_thousand_posts_under_one_key(calm: Simulator, bridge: Bridge, receiver: Receiver) -> None:
    """Every event arrives, nothing is refused once the windows are known, and the client is never in the way."""
    dice = random.Random(SEED)
    first = await calm.make("sync_job", set={"status": "running"})
    await bridge.register(job_id=first, callback_url=f"{receiver.url}/first")
    async with busy_client(calm) as statuses:
        await until(lambda: _has_reads(calm, first, 6))
        await asyncio.sleep(2 * WINDOW_S)  # the warm-up is time that passes
        await calm.control("DELETE", "/requests")
        statuses.clear()
        made = [make_post(number % PERSONAS, dice) for number in range(POSTS)]
        for start in range(0, POSTS, AT_ONCE):
            await asyncio.gather(
                *(watch(calm, bridge, receiver, each) for each in made[start : start + AT_ONCE])
            )
        got = await receiver.wait("/posts", count=POSTS, within_s=120)
        assert len({each.event_id for each in got}) == len(got) == POSTS
        assert {each.event["type"] for each in got} == {"generated_post.completed"}
        assert set(statuses) == {200}
    assert await limited(calm) == 0


async def watch(simulator: Simulator, bridge: Bridge, receiver: Receiver, made: dict[str, Any]) -> str:
    """Make a post, and register it under its persona; gives its id."""
    identifier = await simulator.make(**made)
    await bridge.register(
        generated_post_id=identifier, persona_id=made["persona_id"], callback_url=f"{receiver.url}/posts"
    )
    return identifier


async def _has_reads(simulator: Simulator, job_id: str, count: int) -> bool:
    found = await simulator.control("GET", f"/requests?id={job_id}")
    return bool(found["count"] >= count)


async def reads(simulator: Simulator, **wanted: str) -> int:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    return int((await simulator.control("GET", f"/requests?{query}"))["count"])


def two_posts() -> list[dict[str, Any]]:
    """Two posts of one persona, with one item each, that end together."""
    made = [make_post(0, random.Random(number)) for number in range(2)]
    for each in made:
        each["script"][0]["after_s"] = 30
    return made


async def test_an_end_that_a_row_shows_in_part_is_read_whole(
    calm: Simulator, bridge: Bridge, receiver: Receiver
) -> None:
    """Rows as documented lack the items' URLs: each post is read once by itself, and goes out whole."""
    await calm.control("PUT", "/switches", {"list_rows": "short"})
    for made in two_posts():
        await watch(calm, bridge, receiver, made)
    for got in await receiver.wait("/posts", count=2):
        assert got.event["data"]["media_items"][0]["url"].startswith("https://cdn.example/")
        assert "data_source" not in got.event["bridge"]
    assert await reads(calm, kind="generated_post_list") > 0


async def test_an_end_in_a_row_goes_out_as_it_is_when_nothing_more_can_be_read(
    calm: Simulator, bridge: Bridge, receiver: Receiver
) -> None:
    """The event is sent with what the row shows, and `data_source` says so."""
    await calm.control("PUT", "/switches", {"list_rows": "short"})
    for made in two_posts():
        await watch(calm, bridge, receiver, made)
    await until(lambda: reads(calm, kind="generated_post_list"))
    fault = {"match": {"path_prefix": "/reelmirror/api/v1/generated-posts/"}, "status": 500}
    await calm.control("POST", "/faults", fault)
    for got in await receiver.wait("/posts", count=2):
        assert got.event["type"] == "generated_post.completed"
        assert "url" not in got.event["data"]["media_items"][0]
        assert got.event["bridge"]["data_source"] == "list"


@pytest.mark.parametrize("there", [True, False])
async def test_an_undocumented_list_is_tried_once(
    calm: Simulator,
    bridge: Bridge,
    receiver: Receiver,
    there: bool,  # noqa: FBT001 -- a case
) -> None:
    """Where it is there it shows the sync jobs from then on; where it is not they are read one by one."""
    await calm.control("PUT", "/switches", {"list_sync_jobs": there})
    ids = [
        await calm.make(
            "sync_job", set={"status": "running"}, script=[{"after_s": 90, "set": {"status": "completed"}}]
        )
        for _ in range(4)
    ]
    await bridge.register(job_ids=ids, callback_url=f"{receiver.url}/syncs")
    await receiver.wait("/syncs", count=4)
    asked = await reads(calm, kind="sync_job_list")
    assert asked > 1 if there else asked == 1


async def test_a_watched_posts_items_need_no_reads_of_their_own(
    calm: Simulator, bridge: Bridge, receiver: Receiver
) -> None:
    """The post is read on its interval, and its item is heard of by it."""
    made = make_post(PERSONAS, random.Random(SEED))  # of a persona that has no other post
    made["script"][0]["after_s"] = 100
    item = made["items"][0]["id"]
    await bridge.register(generated_media_item_id=item, callback_url=f"{receiver.url}/item")
    await watch(calm, bridge, receiver, made)
    await receiver.wait("/item")
    await receiver.wait("/posts")
    assert await reads(calm, kind="generated_post") >= 6
    assert await reads(calm, kind="generated_media_item") <= 3


async def test_a_crowded_project_delays_nobody_elses_job(
    calm: Simulator, bridge: Bridge, receiver: Receiver
) -> None:
    """Another project has another account, with a budget and a lane of its own."""
    crowd = [await calm.make("sync_job", set={"status": "running"}) for _ in range(600)]
    for start in range(0, len(crowd), 100):
        registered = await bridge.register(
            job_ids=crowd[start : start + 100], callback_url=f"{receiver.url}/crowd"
        )
    _, other = await bridge.call("POST", "/v1/projects", {"name": "other"})
    mine = {"authorization": f"Bearer {other['key']}"}
    status, _ = await bridge.call(
        "POST", "/v1/accounts", {"provider": "reelmirror", "credential": OTHER_KEY}, headers=mine
    )
    assert status == 201
    ends = await calm.make(
        "sync_job", set={"status": "running"}, script=[{"after_s": 60, "set": {"status": "completed"}}]
    )
    status, _ = await bridge.call(
        "POST", "/v1/callbacks", {"job_id": ends, "callback_url": f"{receiver.url}/one"}, headers=mine
    )
    assert status == 201
    (got,) = await receiver.wait("/one")
    assert got.event["bridge"]["detection_lag_max_ms"] < 2 * SYNC_EVERY_MS
    status, accounts = await bridge.call("GET", "/v1/accounts")
    assert status == 200
    budget = next(each["budget"] for each in accounts["data"] if each["provider"] == "reelmirror")
    assert budget["watched_jobs"] >= 600  # what an earlier test left behind is watched too
    assert budget["expected_delay_seconds"] > budget["seconds_per_request"] > 0
    assert budget["spent"]["single"] > 0
    assert (budget["share"], budget["limit"]) == (0.8, 60)
    await _until_it_says_why(bridge, registered["data"][-1]["id"])


async def _until_it_says_why(bridge: Bridge, callback_id: str) -> None:
    """The timeline of a job that waits names the limit, and how many jobs share it."""

    async def why() -> str:
        _, timeline = await bridge.call("GET", f"/v1/callbacks/{callback_id}/timeline")
        return next((each["text"] for each in timeline["next"] if "rate limit" in each["text"]), "")

    assert re.search(r"60[0-9] jobs watched", await until(why))
