"""Filtered lists: full pages, and a cost by what they show rather than by what they pass over."""

from typing import Any

import pytest

from bridge.domain.deliveries.records import DeliveryState
from bridge.store import keys
from tests.api.serving import Client, settle, tell

URL = "https://hooks.example.test/x"


async def count_reads(api: Client, path: str) -> tuple[int, dict[str, Any]]:
    """Ask for a page; give how often the store was read for it, pipelines counted once.

    What earlier answers left to do in the background is done before, so that only the request's own reads are counted.
    """
    redis = api.services.store.redis
    await api.services.store.holds.finish()
    before = (await redis.info("stats"))["total_reads_processed"]
    status, page = await api.call("GET", path)
    after = (await redis.info("stats"))["total_reads_processed"]
    assert status == 200, page
    return after - before - 1, page  # without the question itself


async def read_pages(api: Client, path: str) -> list[list[dict[str, Any]]]:
    """Give all pages of a list."""
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await api.call("GET", f"{path}&cursor={cursor}")
        pages.append(page["data"])
        cursor = page["next_cursor"]
    return pages


async def register_many(api: Client, prefix: str, count: int) -> list[dict[str, Any]]:
    """Register sync jobs in one step, since each step waits for the disk."""
    ids = [f"{prefix}{number}" for number in range(count)]
    status, body = await api.call("POST", "/v1/callbacks", json={"job_ids": ids, "callback_url": URL})
    assert status == 201, body
    return list(body["data"])


async def test_a_page_of_callbacks_costs_no_read_for_each_row(api: Client) -> None:
    """When each is polled next is asked for together, and for the rows of the page alone."""
    await register_many(api, "a", 500)
    for path in ("/v1/callbacks", "/v1/callbacks?state=watching", "/v1/callbacks?kind=sync_job&limit=100"):
        reads, page = await count_reads(api, path)
        assert len(page["data"]) == 100
        assert all(each["next_poll_at"] for each in page["data"])
        assert reads < 15, path


async def test_what_is_passed_over_costs_three_reads_a_hundred(api: Client) -> None:
    """None of 2,000 callbacks fits; that many share a millisecond costs nothing more."""
    for number in range(4):
        await register_many(api, f"p{number}-", 500)
    index, redis = keys.callbacks("a", "prj_default"), api.services.store.redis
    await redis.zadd(index, dict.fromkeys(await redis.zrange(index, 0, -1), 1_000))
    reads, page = await count_reads(api, "/v1/callbacks?state=ended")
    assert (page["data"], page["next_cursor"]) == ([], None)
    assert reads <= 2_000 / 100 * 3 + 10


async def test_pages_are_full_behind_many_rows_that_do_not_fit(api: Client) -> None:
    """The few that fit are older than 600 others; pages of one were once empty, each with a cursor."""
    videos = [(await api.register(project_id=f"v{number}", callback_url=URL))["id"] for number in range(2)]
    await register_many(api, "n", 500)
    await register_many(api, "m", 100)
    pages = await read_pages(api, "/v1/callbacks?kind=reelbot_video&limit=1")
    assert [[each["id"] for each in page] for page in pages] == [[each] for each in reversed(videos)]
    for limit, sizes in ((2, [2]), (3, [2]), (100, [2])):
        pages = await read_pages(api, f"/v1/callbacks?kind=reelbot_video&limit={limit}")
        assert [len(page) for page in pages] == sizes


@pytest.mark.parametrize("by", ["state", "callback", "event", "type", "job"])
async def test_deliveries_and_events_have_full_pages_too(api: Client, by: str) -> None:
    """One that fits behind sixty newer ones is on the first page of one."""
    rare = await api.register(generated_post_id="rare")
    event, delivery = await tell(api, rare, "generated_post.completed")
    await settle(api, delivery, DeliveryState.PARKED)
    for other in await register_many(api, "o", 60):
        await tell(api, other)
    path = {
        "state": "/v1/deliveries?state=parked",
        "callback": f"/v1/deliveries?callback_id={rare['id']}",
        "event": f"/v1/deliveries?event_id={event}",
        "type": "/v1/events?type=generated_post.completed",
        "job": "/v1/events?job_id=rare",
    }[by]
    reads, page = await count_reads(api, f"{path}&limit=1")
    wanted = delivery if path.startswith("/v1/deliveries") else event
    assert [each["id"] for each in page["data"]] == [wanted]
    assert reads < 20


async def test_deliveries_of_one_callback_are_paged_in_order(api: Client) -> None:
    """Looked up by its job, newest first, and nothing of another callback of that job."""
    mine, other = await api.register(job_id="a"), await api.register(job_id="a", callback_url=URL)
    made = [(await tell(api, mine, type_))[1] for type_ in ("sync_job.running", "sync_job.completed")]
    await tell(api, other, "sync_job.failed")
    pages = await read_pages(api, f"/v1/deliveries?callback_id={mine['id']}&limit=1")
    assert sorted(each["id"] for page in pages for each in page) == sorted(made)
    for nobody in ("cb_x", "cb_" + "a" * 25):
        assert (await api.call("GET", f"/v1/deliveries?callback_id={nobody}"))[1]["data"] == []
    for nothing in ("x", "evt_" + "a" * 26):
        assert (await api.call("GET", f"/v1/deliveries?event_id={nothing}"))[1]["data"] == []


async def test_events_of_a_part_are_found_by_its_id(api: Client) -> None:
    """They stand with the job that has the part: such an id has no job of its own."""
    post = await api.register(outgoing_post_id="post", once=False, events=["publishing_delivery.*"])
    event, _ = await tell(api, post, "publishing_delivery.published", job_id="part")
    for query in ("job_id=part", "job_id=part&kind=publishing_delivery"):
        _, page = await api.call("GET", f"/v1/events?{query}")
        assert [each["id"] for each in page["data"]] == [event]
    _, page = await api.call("GET", "/v1/events?job_id=part&kind=sync_job")
    assert page["data"] == []


async def test_a_url_with_few_callbacks_is_paged_by_the_same_cursors(api: Client) -> None:
    """Newest first. A cursor is a place, so that no page is shown again when its last callback is gone meanwhile."""
    made = await register_many(api, "j", 4)
    made.append(await api.register(job_id="newest", callback_url=URL))
    pages = await read_pages(api, f"/v1/callbacks?callback_url={URL}&limit=2")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert pages[0][0]["job_id"] == "newest"
    assert {each["id"] for page in pages for each in page} == {each["id"] for each in made}
    _, page = await api.call("GET", f"/v1/callbacks?callback_url={URL}&limit=2")
    _, whole = await api.call("GET", f"/v1/callbacks?limit=2&cursor={page['next_cursor']}")
    assert whole["data"] == pages[1]


PAGED = ("accounts", "callbacks", "deliveries", "endpoints", "events", "keys", "projects", "tasks")


@pytest.mark.parametrize("name", PAGED)
async def test_a_cursor_that_no_list_gave_is_a_400(api: Client, name: str) -> None:
    """It names the field; the first page would be shown again to whoever has cut a cursor off."""
    status, body = await api.call("GET", f"/v1/{name}?cursor=odd")
    assert (status, body["error"]["details"]["field"]) == (400, "cursor")
    assert "next_cursor" in body["error"]["message"]
    assert (await api.call("GET", f"/v1/{name}?cursor="))[0] == 200


async def test_a_short_list_goes_on_behind_a_row_that_is_gone(api: Client) -> None:
    """The page before would come again if the list began anew."""
    for name in ("a", "b", "c"):
        assert (await api.call("POST", "/v1/keys", json={"name": name}))[0] == 201
    _, whole = await api.call("GET", "/v1/keys")
    _, first = await api.call("GET", "/v1/keys?limit=2")
    last = first["data"][-1]["id"]
    assert (await api.call("DELETE", f"/v1/keys/{last}"))[0] == 200
    _, rest = await api.call("GET", f"/v1/keys?cursor={first['next_cursor']}")
    assert first["data"] + rest["data"] == whole["data"]
    assert rest["next_cursor"] is None
