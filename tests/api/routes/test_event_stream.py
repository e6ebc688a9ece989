"""`GET /v1/events/stream`: what is written, where it begins, who may read, and how it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.api.app import build_app
from bridge.api.routing import API, Api
from bridge.api.waiting.event_stream import StreamTiming
from bridge.api.waiting.waiters import STREAMS, Waiters
from bridge.errors import RateLimited
from bridge.store import feed_keys, keys
from tests.api.serving import BEARER, KEY, Client, running, tell
from tests.api.streams import streaming, write_event
from tests.docs.pages import code_blocks, read

PATH = "/v1/events/stream"


@asynccontextmanager
async def another(api: Client, **timing: float) -> AsyncIterator[tuple[str, Api]]:
    """Run a second API on the same store, with shorter times."""
    app = build_app(api.services, stream_timing=StreamTiming(**timing))
    async with running(app) as url:
        yield url, app[API]


async def write(api: Client, count: int) -> list[str]:
    return [await write_event(api.services, number) for number in range(1, count + 1)]


async def test_an_event_comes_as_its_receivers_get_it(api: Client) -> None:
    """With its position as the id, its type, and the very bytes of the stored body in one line; nothing gathers it."""
    made = await api.register(job_id="a")
    async with streaming(api.http, api.url) as stream:
        head = stream.answer.headers
        assert head["Content-Type"] == "text/event-stream"
        assert head["Cache-Control"] == "no-cache, no-transform"
        assert (head["X-Accel-Buffering"], head["Access-Control-Allow-Origin"]) == ("no", "*")
        assert "Content-Encoding" not in head
        first = await stream.next()
        assert first is not None
        assert 2000 <= (first.retry or 0) <= 5000
        assert first.place == "0"
        event, _ = await tell(api, made)
        block = await stream.event()
    async with api.http.get(f"{api.url}/v1/events/{event}", headers=BEARER) as answer:
        assert block.data == await answer.text()
    assert (block.place, block.event) == ("1", "sync_job.completed")


async def test_a_stream_begins_where_the_reader_was(api: Client) -> None:
    """Last-Event-ID is a position or an event's id, and counts before `after`, with which the URL was first opened."""
    ids = await write(api, 4)
    for query, last_id, wanted in [
        ("", "2", ids[2:]),
        ("", ids[2], ids[3:]),
        ("?after=1", None, ids[1:]),
        (f"?after={ids[0]}", None, ids[1:]),
        ("?after=a1", "3", ids[3:]),
    ]:
        async with streaming(api.http, api.url, query, last_id=last_id) as stream:
            assert [(await stream.event()).id for _ in wanted] == wanted
    async with streaming(api.http, api.url, "?after=999999") as stream:
        first = await stream.next()
        assert first is not None
        assert first.place == "4"


async def test_a_filtered_reader_hears_what_fits_and_how_far_it_was_looked(api: Client) -> None:
    """Else it would come back behind the last event that fits, and all others would be looked at again."""
    async with another(api, heartbeat_s=0.2) as (url, _):
        for query in ("type=sync_job.failed", "kind=sync_job&job_id=job-1", "job_id=job-1"):
            async with streaming(api.http, url, f"?{query}") as stream:
                await stream.next()
                other = await write_event(api.services, 2)
                fits = await write_event(api.services, 1, type_="sync_job.failed")
                last = await write_event(api.services, 3)
                assert (await stream.event()).id == fits
                while (block := await stream.next()) and block.place is None:
                    assert block.comment == "heartbeat"
                assert block is not None
                assert block.data is None
                position = await api.services.store.feed.position_of("prj_default", last)
                assert block.place == str(position)
                await api.services.store.feed.forget("prj_default", [other, fits, last])


async def test_a_silent_stream_has_heartbeats(api: Client) -> None:
    """Comments, which no reader sees."""
    async with another(api, heartbeat_s=0.1) as (url, _), streaming(api.http, url) as stream:
        await stream.next()
        blocks = [await stream.next() for _ in range(3)]
        assert [block and block.comment for block in blocks] == ["heartbeat"] * 3


async def test_a_reader_that_was_away_for_too_long_hears_of_the_gap(api: Client) -> None:
    """Then what is left follows, also for one whose last event is gone altogether."""
    ids = await write(api, 5)
    await api.services.store.feed.forget("prj_default", ids[1:3])
    for last_id in ("2", "0"):
        async with streaming(api.http, api.url, last_id=last_id) as stream:
            block = await stream.event()
            assert (block.event, block.place) == ("stream.gap", None)
            assert block.data == f'{{"type":"stream.gap","after":{last_id},"oldest":1}}'
            wanted = ids[3:] if last_id == "2" else [ids[0], *ids[3:]]
            assert [(await stream.event()).id for _ in wanted] == wanted
    async with streaming(api.http, api.url, last_id="3") as stream:
        assert (await stream.event()).id == ids[3]
    unknown = "evt_a" + "b" * 25
    async with streaming(api.http, api.url, last_id=unknown) as stream:
        assert (await stream.event()).event == "stream.gap"
        assert (await stream.event()).id == ids[0]
    assert (await api.call("GET", f"{PATH}?after={unknown}"))[0] == 404


async def test_what_is_read_without_its_event_leaves_the_feed(api: Client) -> None:
    """A crash came between the end of an event's retention and its place in the feed; damaged events stay."""
    ids = await write(api, 4)
    store = api.services.store
    await store.redis.delete(keys.event(ids[1]))
    await store.redis.set(keys.event(ids[2]), b"damaged")
    _, page = await api.call("GET", "/v1/events?after=0")
    assert [each["id"] for each in page["data"]] == [ids[0], ids[3]]
    assert await store.feed.read("prj_default", after=0) == [(ids[0], 1), (ids[2], 3), (ids[3], 4)]
    assert await store.feed.forgotten("prj_default") == 2


async def test_what_is_no_place_is_refused(api: Client) -> None:
    """Before the stream begins."""
    for query in ("?after=x", "?type=none", "?kind=none"):
        assert (await api.call("GET", PATH + query))[0] == 400
    status, _ = await api.call("GET", PATH, headers={**BEARER, "Last-Event-ID": "x"})
    assert status == 400


async def test_a_key_in_the_url_may_read(api: Client) -> None:
    """Browsers' EventSource sends no headers; nobody reads without a key, or with one for other things."""
    async with streaming(api.http, api.url, f"?api_key={KEY}", headers={}) as stream:
        assert await stream.next() is not None
    assert (await api.call("GET", PATH, headers={}))[0] == 401
    _, made = await api.call("POST", "/v1/keys", json={"scopes": ["register"]})
    assert (await api.call("GET", PATH, headers={"X-API-Key": made["key"]}))[0] == 403


async def test_a_revoked_key_ends_its_streams(api: Client) -> None:
    """With the next heartbeat."""
    _, made = await api.call("POST", "/v1/keys", json={"scopes": ["read"]})
    login = {"X-API-Key": made["key"]}
    async with (
        another(api, heartbeat_s=0.1) as (url, _),
        streaming(api.http, url, headers=login) as stream,
    ):
        assert await stream.next() is not None
        assert (await api.call("DELETE", f"/v1/keys/{made['id']}"))[0] == 200
        while (block := await stream.next()) is not None:
            assert block.data is None


async def test_a_key_has_five_streams(api: Client) -> None:
    """One more is a 429; a reader that hangs up leaves its place at once."""
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(streaming(api.http, api.url)) for _ in range(5)]
        status, body, headers = await api.ask("GET", PATH)
        assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "RATE_LIMITED", "1")
        streams[2].answer.close()
        async with asyncio.timeout(10):
            while True:
                async with api.http.get(api.url + PATH, headers=BEARER) as again:
                    if again.status == 200:
                        return


def test_a_project_has_twenty_streams() -> None:
    """Over all its keys; another project has its own."""
    streams = Waiters(STREAMS)
    with ExitStack() as stack:
        for number in range(20):
            stack.enter_context(streams.enter("prj_1", f"key-{number // 5}"))
        with pytest.raises(RateLimited, match="20 streams of this project"):
            stack.enter_context(streams.enter("prj_1", "key-9"))
        stack.enter_context(streams.enter("prj_2", "key-9"))


async def test_a_reader_that_takes_nothing_is_cut_off(api: Client) -> None:
    """It holds no more than what is on its way to it; others go on."""
    for number in range(60):
        await write_event(api.services, number, size=250_000)
    async with another(api, stall_s=0.5) as (url, inside):
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port)) as slow:
            slow.sendall(f"GET {PATH}?after=0&api_key={KEY} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode())
            await until(lambda: bool(inside.streams.projects))
            async with streaming(api.http, url, "?after=0") as stream:
                assert len({(await stream.event()).id for _ in range(60)}) == 60
                await until(lambda: len(inside.streams.projects) == 1)
            await until(lambda: not inside.streams.projects)
            assert await asyncio.to_thread(drain, slow) < 60 * 250_000


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 -- another connection's end sets no event
            await asyncio.sleep(0.02)


def drain(connection: socket.socket) -> int:
    """Read to the end, and return how much there was."""
    connection.settimeout(10)
    count = 0
    try:
        while some := connection.recv(1 << 20):
            count += len(some)
    except ConnectionResetError:
        pass
    return count


async def test_a_process_that_stops_ends_its_streams_cleanly(api: Client) -> None:
    """The body is whole; the client goes on elsewhere behind its last position."""
    async with another(api) as (url, inside), streaming(api.http, url) as stream:
        assert await stream.next() is not None
        inside.streams.end_all()
        assert await stream.next() is None
        async with streaming(api.http, url) as late:
            assert await late.next() is not None
            assert await late.next() is None


async def test_a_feed_that_was_rolled_back_skips_nobody(api: Client) -> None:
    """A failover of the feed's slot has lost the last positions: what comes gets new ones behind those that were read."""
    ids = await write(api, 5)
    redis = api.services.store.redis
    async with another(api) as (url, _), streaming(api.http, url, "?after=0") as stream:
        assert [(await stream.event()).id for _ in ids] == ids
        await redis.zremrangebyscore(feed_keys.feed("prj_default"), "(3", "+inf")
        await redis.set(feed_keys.position("prj_default"), 3)
        sixth = await write_event(api.services, 6)
        block = await stream.event()
        assert (block.id, block.place) == (sixth, "1006")
        await api.services.store.outbox.drain(now_ms=api.services.clock_ms() + 11_000)
        assert [(await stream.event()).id for _ in range(2)] == ids[3:]


async def test_the_lines_of_the_page_read_on_after_a_restart(api: Client) -> None:
    """docs/events.md, Python: what it keeps of its place is enough."""
    (code,) = code_blocks(read("docs/events.md"), "python")
    names: dict[str, Any] = {}
    exec(code, names)
    names["time"] = SimpleNamespace(sleep=lambda _: None)
    ids = await write(api, 3)
    async with another(api) as (url, inside):
        heard = names["read_events"](url, KEY, "1")
        assert [(await asyncio.to_thread(next, heard))[1]["id"] for _ in range(2)] == ids[1:]
        for waiter in inside.streams.waiting("prj_default"):
            waiter.end()
        later = await write_event(api.services, 4)
        place, event = await asyncio.to_thread(next, heard)
        assert (place, event["id"]) == ("4", later)
        heard.close()
