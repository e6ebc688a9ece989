"""A walk along a long feed begins near its period, and misses nothing of it."""

from typing import Any

from bridge.domain.times import iso_ms
from bridge.store import feed_keys
from tests.services.endpoints.standing import create, end_job
from tests.services.polling.upstreams import Bench

PROJECT = "prj_default"
OLDER = 5_000  # events of an hour ago
HOUR_MS = 3_600_000


async def fill_feed(bench: Bench) -> None:
    """Publish many events, and let the store have done so an hour ago."""
    store = bench.api.services.store
    await store.feed.publish(PROJECT, [f"evt_a{number:025}" for number in range(OLDER)])
    marks = await store.redis.zrange(feed_keys.marks(PROJECT), 0, -1)
    assert [int(each) for each in marks] == [1000, 2000, 3000, 4000, 5000]
    for each in marks:
        await store.redis.zincrby(feed_keys.marks(PROJECT), -HOUR_MS, each)


async def count_pages(bench: Bench, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Post to the API; return how many pages of the feed that took, and the answer."""
    redis = bench.api.services.store.redis
    await redis.config_resetstat()
    status, answer = await bench.api.call("POST", path, json=body)
    assert status == 200, answer
    return int((await redis.info("commandstats"))["cmdstat_zrangebyscore"]["calls"]), answer


async def test_recover_and_reconcile_skip_what_was_told_before_their_period(bench: Bench) -> None:
    """One page instead of fifty-one; from the beginning they still look at everything."""
    await fill_feed(bench)
    await end_job(bench, "s1")
    endpoint = await create(bench)
    recent, begun = bench.api.services.clock_ms() - HOUR_MS // 2, 0
    reconcile = {"ids": [], "dry_run": True, "endpoint_id": endpoint}
    pages, found = await count_pages(bench, "/v1/events/reconcile", since=iso_ms(recent), **reconcile)
    assert (pages, len(found["data"])) == (1, 1)
    pages, found = await count_pages(bench, "/v1/events/reconcile", since=iso_ms(begun), **reconcile)
    assert (pages, len(found["data"])) == (51, 1)
    pages, done = await count_pages(bench, f"/v1/endpoints/{endpoint}/recover", since=iso_ms(recent))
    assert done["count"] == 1
    assert pages < 10, "tasks are looked for meanwhile"
    _, task = await bench.api.call("GET", f"/v1/tasks/{done['task_id']}")
    assert (task["looked_at"], task["total"]) == (1, 1)


async def test_what_was_told_in_the_period_or_a_minute_before_is_looked_at(bench: Bench) -> None:
    """Clocks of servers may differ by as much, and many events may be told in that time."""
    await end_job(bench, "s1")
    store = bench.api.services.store
    ((event, _),) = await store.feed.read(PROJECT, after=0)
    await store.feed.publish(PROJECT, [f"evt_a{number:025}" for number in range(OLDER)])
    now_ms = bench.api.services.clock_ms()
    body = {"ids": [], "dry_run": True, "since": iso_ms(now_ms - HOUR_MS)}
    assert (await count_pages(bench, "/v1/events/reconcile", **body))[1]["data"] == [event]
    assert await store.feed.skip_until(PROJECT, now_ms + 30_000) == 0
    assert await store.feed.skip_until(PROJECT, now_ms + 90_000) == OLDER


async def test_marks_are_those_of_the_last_ten_million_events(bench: Bench) -> None:
    """The oldest make room, so that they take no more than a megabyte."""
    store = bench.api.services.store
    rows = {str(-number): float(number) for number in range(10_000)}
    await store.redis.zadd(feed_keys.marks(PROJECT), rows)
    await store.feed.publish(PROJECT, [f"evt_a{number:025}" for number in range(1000)])
    found = await store.redis.zrange(feed_keys.marks(PROJECT), 0, -1)
    assert (len(found), found[0], found[-1]) == (10_000, b"-1", b"1000")
