"""What a worker's death has kept from the feed comes before the job's later events."""

from collections.abc import AsyncIterator

import pytest

from bridge.domain.events.records import EventRecord
from bridge.services.queries import load_events
from bridge.store import feed_keys
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

JOB = "/v1/sync-jobs/s1"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


async def published(bench: Bench) -> list[EventRecord]:
    store = bench.api.services.store
    return await load_events(store, [event for event, _ in await store.feed.read("prj_default", after=0)])


async def test_older_events_of_a_job_are_published_first(bench: Bench) -> None:
    """The worker that wrote the first one died before it was in the feed."""
    key = await bench.register("s1", kind="sync_job")
    bench.upstream.lay(JOB, {"data": {"id": "s1", "status": "running"}})
    await bench.turn()
    assert [event.type for event in await published(bench)] == ["sync_job.running"]
    await bench.api.services.store.redis.delete(feed_keys.feed("prj_default"))
    bench.upstream.answers.clear()
    bench.upstream.lay(JOB, {"data": {"id": "s1", "status": "completed"}})
    await bench.put_off(key, 0)
    await bench.turn()
    assert [event.type for event in await published(bench)] == ["sync_job.running", "sync_job.completed"]
