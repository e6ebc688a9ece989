"""Pages of lists and posts that clients read, applied to watched jobs in a real store."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from bridge.providers.passing import Shown, Sight
from bridge.services.passing.passed_reads import PassedAnswer, PassedReads
from bridge.services.passing.unwatched_jobs import UnwatchedJobs
from tests.services.polling.upstreams import POSTS, Bench, polled
from tests.store.conftest import Server

FAR_MS = 600_000
URL = "https://cdn.example.test/a.mp4"
ITEM = {"id": "i1", "status": "completed", "media_type": "video", "url": URL}


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


async def watch(bench: Bench, post: str) -> str:
    """Register a post, let the bridge read it once, and make it due much later; return its key."""
    bench.upstream.lay(POSTS + post, row(post, "generating", {**ITEM, "status": "generating", "url": None}))
    key = await bench.register(post)
    assert await bench.turn(first=key) == [POSTS + post]
    await bench.put_off(key, FAR_MS)
    return key


def row(post: str, status: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"id": post, "status": status, "media_items": list(items)}


async def show(bench: Bench, key: str, *rows: dict[str, Any]) -> None:
    """Apply a page with these rows that a client read a moment after the job's last poll."""
    shown = Shown(sight=Sight.ROWS, kinds=("generated_post",))
    await apply(bench, key, shown, {"data": rows, "count": len(rows)})


async def apply(
    bench: Bench, key: str, shown: Shown, body: dict[str, Any], reads: PassedReads | None = None
) -> None:
    begun_ms = max(bench.api.services.clock_ms(), (await bench.log(key)).last_ms + 1)
    answer = PassedAnswer(
        shown=shown, headers={}, body=msgspec.json.encode(body), begun_ms=begun_ms, ended_ms=begun_ms
    )
    await (reads or PassedReads(bench.api.services, UnwatchedJobs())).apply(
        (await bench.job(key)).account, [answer]
    )


async def test_a_row_with_all_of_an_ending_ends_its_job(bench: Bench) -> None:
    """Rows of what nobody watches are passed over."""
    key = await watch(bench, "p1")
    await show(bench, key, row("p1", "completed", ITEM), row("p2", "completed", ITEM))
    assert "generated_post.completed" in await bench.event_types(key)


async def test_a_row_with_less_has_the_bridge_read_its_job(bench: Bench) -> None:
    """A row may lack the items' URLs, without which no event goes out."""
    key = await watch(bench, "p1")
    await show(bench, key, row("p1", "completed", {"id": "i1", "status": "completed"}))
    assert "generated_post.completed" not in await bench.event_types(key)
    assert await bench.due_ms(key) <= bench.api.services.clock_ms()


async def test_a_page_says_nothing_of_what_it_does_not_show(bench: Bench) -> None:
    """A job may be on another page, or be left out for a reason of the provider's own."""
    key = await watch(bench, "p1")
    due_ms = await bench.due_ms(key)
    await show(bench, key, row("p2", "completed", ITEM))
    assert (await bench.log(key)).polls == 1
    assert await bench.due_ms(key) == due_ms
    assert (await bench.job(key)).missing_reads == 0


async def test_a_post_shows_its_watched_items(bench: Bench) -> None:
    """They count as polled too, also while the post stays as it is; the one that ends has its event."""
    post = await watch(bench, "p1")
    items = [await bench.register(name, "generated_media_item") for name in ("i1", "i2")]
    shown = Shown(sight=Sight.STATE, kinds=("generated_post",), job_id="p1")
    runs = {"id": "i2", "status": "generating", "media_type": "video"}
    reads = PassedReads(bench.api.services, UnwatchedJobs())
    for polls in (1, 2):
        await apply(bench, post, shown, row("p1", "generating", ITEM, runs), reads)
        assert (await bench.log(items[1])).polls == polls
    assert "generated_media_item.completed" in await bench.event_types(items[0])
