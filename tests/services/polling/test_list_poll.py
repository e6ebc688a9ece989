"""List polls: one request for many posts, and what happens to them when the list does not work."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.domain.polling.list_pages import ListStats
from bridge.domain.polling.rate_limit import Limit, RateReport
from tests.services.polling.upstreams import LIST, POSTS, Bench, polled
from tests.store.conftest import Server

API = Limit(name="api", requests=60, window_s=60)
FAR_MS = 600_000
LATE_MS = 60_000  # a loaded machine may take a while between two looks at the clock
URL = "https://cdn.example.test/a.mp4"
RUNNING = {"id": "i1", "status": "generating", "media_type": "video"}
DONE = {"id": "i1", "status": "completed", "media_type": "video", "url": URL}


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


def post(job_id: str, status: str = "generating", *items: dict[str, Any]) -> dict[str, Any]:
    return {"id": job_id, "status": status, "review_status": "pending_review", "media_items": [*items]}


async def seen(bench: Bench, key: str) -> ListStats | None:
    account = (await bench.job(key)).account
    return (await bench.api.services.store.account_stats.load({account: [LIST]}))[account].lists.get(LIST)


async def batched(bench: Bench, account: str) -> int:
    """Return how many requests list pages saved, as the account shows it; reports reach the budget a moment later."""
    _, shown = await bench.api.call("GET", f"/v1/accounts/{account}")
    return int(shown["budget"]["saved"]["batching"])


async def url_told(bench: Bench, key: str) -> object:
    data = await bench.api.services.store.load_object(key)
    return data["media_items"][0].get("url")


async def test_one_page_reads_all_posts_of_a_persona(bench: Bench) -> None:
    """Also a post that was not due; posts that nobody watches are ignored."""
    one, two, far = [await bench.register(name) for name in ("p1", "p2", "p3")]
    await bench.put_off(far, FAR_MS)
    rows = [post("other", "completed", DONE), post("p1", "completed", DONE), post("p2"), post("p3")]
    bench.upstream.lay(LIST, {"data": rows, "count": 4})
    assert await bench.turn() == [LIST]
    assert await bench.event_types(one) == ["generated_post.completed"]
    assert [(await bench.job(key)).status for key in (two, far)] == ["generating", "generating"]
    assert await bench.due_ms(far) < bench.api.services.clock_ms() + FAR_MS - LATE_MS
    known = await seen(bench, two)
    assert known is not None
    assert (known.places, known.count, known.useless_ms) == ({"p1": 1, "p2": 2, "p3": 3}, 4, 0)
    account = (await bench.job(two)).account
    async with asyncio.timeout(20):
        while await batched(bench, account) != 2:  # noqa: ASYNC110  # only the store knows
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(404, None), (500, {}), (503, {}), (404, {"message": "Cannot GET"}), (200, {"data": "?"}), (403, {})],
)
async def test_a_list_that_does_not_serve_leaves_posts_to_themselves(
    bench: Bench, status: int, answer: dict[str, Any] | None
) -> None:
    """A persona that was mistyped, a list that is broken: it is not asked again for a while, and ends nothing."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    if answer is not None:
        bench.upstream.lay(LIST, answer, status=status)
    for name in ("p1", "p2"):
        bench.upstream.lay(POSTS + name, {"data": post(name)})
    assert await bench.turn() == [LIST]
    known = await seen(bench, one)
    assert known is not None
    assert known.useless_ms > 0
    assert set(await bench.turn()) == {POSTS + "p1", POSTS + "p2"}
    assert [(await bench.job(key)).missing_reads for key in (one, two)] == [0, 0]


@pytest.mark.parametrize(
    ("status", "mark"),
    [(429, "429"), (401, "401")],
    ids=["limit", "refused"],
)
async def test_trouble_of_the_account_is_trouble_of_its_posts(bench: Bench, status: int, mark: str) -> None:
    """Each post waits as after a poll of its own, and the list may still be used."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {}, status=status, Retry_After="300")
    assert await bench.turn() == [LIST]
    now_ms = bench.api.services.clock_ms()
    for key in (one, two):
        assert [word for _, word, _ in (await bench.log(key)).spans] == [mark]
        assert await bench.due_ms(key) > now_ms
    account = (await bench.job(one)).account
    asleep = account in await bench.api.services.store.poll.blocked(one[0], [account])
    assert asleep is (status == 429)
    assert await seen(bench, one) is None


async def test_a_post_that_its_page_does_not_show_is_read_by_itself(bench: Bench) -> None:
    """It is polled by itself at once, and only that poll can find that it is gone."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {"data": [post("p1")], "count": 1})
    bench.upstream.lay(POSTS + "p2", {"data": post("p2")})
    assert await bench.turn() == [LIST]
    assert (await bench.job(two)).missing_reads == 0
    assert await bench.due_ms(two) <= bench.api.services.clock_ms() + LATE_MS
    assert await bench.turn() == [POSTS + "p2"]
    assert ((await bench.log(one)).polls, (await bench.log(two)).polls) == (1, 1)


async def test_an_end_that_a_row_shows_in_part_is_told_whole(bench: Bench) -> None:
    """By the post's own read, at once."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {"data": [post("p1", "completed", {"status": "completed"}), post("p2")]})
    bench.upstream.lay(POSTS + "p1", {"data": post("p1", "completed", DONE)})
    assert await bench.turn() == [LIST, POSTS + "p1"]
    assert await bench.event_types(one) == ["generated_post.completed"]
    assert await url_told(bench, one) == URL
    assert await bench.due_ms(two) > 0


async def test_an_end_that_a_row_shows_in_part_waits_a_little_for_a_request(bench: Bench) -> None:
    """At first there is none, because the account's limit was reached."""
    one, _ = [await bench.register(name) for name in ("p1", "p2")]
    store, account = bench.api.services.store, (await bench.job(one)).account

    async def limit() -> None:
        soon = RateReport(quiet_ms=bench.api.services.clock_ms() + 300)
        await store.budgets.spend(account, API, reports=[soon])

    bench.upstream.meanwhile[LIST] = limit
    bench.upstream.lay(LIST, {"data": [post("p1", "completed", {"status": "completed"}), post("p2")]})
    bench.upstream.lay(POSTS + "p1", {"data": post("p1", "completed", DONE)})
    assert await bench.turn() == [LIST, POSTS + "p1"]
    assert await url_told(bench, one) == URL


async def test_where_no_request_is_left_an_end_goes_out_as_its_row_shows_it(server: Server) -> None:
    """After a short wait the event is sent with what the row shows."""
    async with polled(server.socket, poll_scale=0.02) as bench:
        one, _ = [await bench.register(name) for name in ("p1", "p2")]
        store, account = bench.api.services.store, (await bench.job(one)).account
        limited = RateReport(quiet_ms=bench.api.services.clock_ms() + FAR_MS)
        bench.upstream.meanwhile[LIST] = lambda: store.budgets.spend(account, API, reports=[limited])
        item = {"id": "i1", "status": "completed"}
        bench.upstream.lay(LIST, {"data": [post("p1", "completed", item), post("p2")]})
        assert await bench.turn() == [LIST]
        assert await bench.event_types(one) == ["generated_post.completed"]
        assert await url_told(bench, one) is None


async def test_a_short_row_of_a_running_post_shows_that_it_goes_on(bench: Bench) -> None:
    """It changes nothing and counts as a poll; the interval stays that of the media its own poll showed."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    image = {**RUNNING, "media_type": "image"}
    bench.upstream.lay(LIST, {"data": [post("p1", "generating", image), post("p2")]})
    bench.upstream.lay(LIST, {"data": [post("p1", "generating", {"status": "generating"}), post("p2")]})
    assert await bench.turn() == [LIST]
    before = await bench.job(one)
    for key in (one, two):
        await bench.put_off(key, 0)
    assert await bench.turn() == [LIST]
    log = await bench.log(one)
    assert (log.polls, log.interval_s) == (2, 10)
    assert await bench.job(one) == before
    assert await url_told(bench, one) is None


async def test_watched_items_are_carried_by_a_row_of_their_post(bench: Bench) -> None:
    """Without a read of their own."""
    item = await bench.register("i1", "generated_media_item")
    bench.upstream.lay("/v1/generated-media-items/i1", {"data": RUNNING})
    assert await bench.turn() == ["/v1/generated-media-items/i1"]
    for name in ("p1", "p2"):
        await bench.register(name)
    bench.upstream.lay(LIST, {"data": [post("p1", "generating", DONE), post("p2")]})
    assert await bench.turn() == [LIST]
    assert (await bench.job(item)).ending == "completed"
    assert (await bench.event_types(item))[-1] == "generated_media_item.completed"


async def test_half_a_character_in_a_row_harms_nobody(bench: Bench) -> None:
    """A caption that ends in half of a surrogate pair."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {"data": [{**post("p1"), "caption": "\ud83d"}, post("p2")], "count": 2})
    assert await bench.turn() == [LIST]
    assert [(await bench.job(key)).seen for key in (one, two)] == [True, True]


async def test_a_row_that_ended_without_its_items_is_read_whole(bench: Bench) -> None:
    """A list that does not show items hides how they ended."""
    one, _ = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {"data": [post("p1", "completed"), post("p2")], "count": 2})
    whole = post("p1", "completed", {"id": "i", "status": "completed", "url": "https://x"})
    bench.upstream.lay(POSTS + "p1", {"data": whole})
    assert await bench.turn() == [LIST, POSTS + "p1"]
    assert (await bench.job(one)).ending == "completed"


async def test_what_a_page_lists_twice_is_read_by_itself(bench: Bench) -> None:
    """Which of them is true, a page cannot say."""
    one, two = [await bench.register(name) for name in ("p1", "p2")]
    bench.upstream.lay(LIST, {"data": [post("p1"), post("p2"), post("p1")], "count": 3})
    assert await bench.turn() == [LIST]
    assert [(await bench.job(key)).seen for key in (one, two)] == [False, True]
