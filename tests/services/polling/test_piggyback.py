"""Piggybacking: an answer also updates jobs that were not asked for, unless another worker has them in flight."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import Observed
from bridge.providers.read import read_object
from bridge.providers.registry import KINDS
from bridge.providers.spec import Lens
from bridge.services.duration_estimates import DurationEstimates
from bridge.services.jobs.observe import Held
from bridge.services.polling.piggyback import PART_WATCHED_S, Piggyback
from bridge.services.polling.waiting_jobs import WaitingJob, lease_waiting_jobs, return_to_queue
from bridge.store.commit import Change, Due
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

FAR_MS = 600_000
LEASE_MS = 60_000
LATE_MS = 60_000  # a loaded machine may take a while between two looks at the clock
URL = "https://cdn.example.test/a.mp4"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


@pytest.fixture
def now_s() -> list[float]:
    """A clock in seconds that the test sets."""
    return [1000.0]


@pytest.fixture
def piggyback(bench: Bench, now_s: list[float]) -> Piggyback:
    services = bench.api.services
    duration_estimates = DurationEstimates(services.store.account_stats, scale=1.0)
    return Piggyback(services, duration_estimates, lease_ms=LEASE_MS, clock_s=lambda: now_s[0])


async def lease(bench: Bench, *keys: str, begun_ms: int | None = None) -> Sequence[WaitingJob]:
    account = (await bench.job(keys[0])).account
    begun = bench.api.services.clock_ms() if begun_ms is None else begun_ms
    since = dict.fromkeys(keys, begun)
    return (await lease_waiting_jobs(bench.api.services, account, since, lease_ms=LEASE_MS)).jobs


async def test_what_waits_is_held_with_its_records(bench: Bench, piggyback: Piggyback) -> None:
    """With the time left until it is due, so that putting it back restores its place."""
    key = await bench.register("p1")
    due_ms = await bench.put_off(key, FAR_MS)
    (passenger,) = await lease(bench, key)
    assert (passenger.held.key, passenger.held.job.record, passenger.held.log.polls) == (
        key,
        await bench.job(key),
        0,
    )
    assert FAR_MS - LATE_MS < passenger.left_ms <= FAR_MS
    assert await bench.due_ms(key) < 0
    assert await bench.api.services.store.poll.settle(key[0], [return_to_queue(passenger)]) == []
    assert due_ms <= await bench.due_ms(key) < due_ms + LATE_MS


async def test_what_was_read_since_is_put_back_where_it_was(bench: Bench, piggyback: Piggyback) -> None:
    """An answer that is older than the job's own poll is not applied to it."""
    bench.upstream.lay("/v1/sync-jobs/s1", {"data": {"id": "s1", "status": "running"}})
    before_ms = bench.api.services.clock_ms()
    key = await bench.register("s1", "sync_job")
    assert await bench.turn() == ["/v1/sync-jobs/s1"]
    due_ms = await bench.put_off(key, FAR_MS)
    assert await lease(bench, key, begun_ms=before_ms) == []
    assert due_ms <= await bench.due_ms(key) < due_ms + LATE_MS
    (passenger,) = await lease(bench, key, begun_ms=(await bench.log(key)).last_ms + 1)
    assert passenger.held.log.polls == 1


async def test_what_has_no_record_is_put_back(bench: Bench, piggyback: Piggyback) -> None:
    """It is left to its own poll, which removes it from the queue; the others are updated."""
    key = await bench.register("p1")
    account = (await bench.job(key)).account
    lost = job_key(key[0], account, "generated_post", "lost")
    store = bench.api.services.store
    change = Change(key[0], (), [Due("poll", account, lost, FAR_MS, "sooner")])
    assert await store.committer.commit(change) == "done"
    assert [passenger.held.key for passenger in await lease(bench, key, lost)] == [key]
    due_ms = await store.poll.due_of(key[0], account, lost)
    assert due_ms is not None
    assert due_ms > bench.api.services.clock_ms()


async def test_nothing_is_held_of_what_is_in_flight(bench: Bench, piggyback: Piggyback) -> None:
    """Neither a job in flight nor one that nobody watches is held."""
    key = await bench.register("p1")
    (passenger,) = await lease(bench, key)
    assert not await lease(bench, key)
    other = job_key(key[0], passenger.held.job.record.account, "generated_post", "p2")
    assert not await lease(bench, key, other)
    account = passenger.held.job.record.account
    since = dict.fromkeys((key, other), bench.api.services.clock_ms())
    leased = await lease_waiting_jobs(bench.api.services, account, since, lease_ms=LEASE_MS)
    assert (list(leased.jobs), leased.unwatched, leased.watched) == ([], {other}, 1)
    assert await bench.api.services.store.poll.settle(key[0], [return_to_queue(passenger)]) == []


async def test_posts_carry_where_items_are_watched(piggyback: Piggyback, now_s: list[float]) -> None:
    """Items must have been due lately, in the same account."""
    piggyback.note_watched("x", "generated_post")
    piggyback.note_watched("x", "sync_job")
    assert not piggyback.may_show_watched("x", "generated_post")
    piggyback.note_watched("x", "generated_media_item")
    assert piggyback.may_show_watched("x", "generated_post")
    assert not piggyback.may_show_watched("x", "sync_job")
    assert not piggyback.may_show_watched("y", "generated_post")
    now_s[0] += PART_WATCHED_S
    assert piggyback.may_show_watched("x", "generated_post")
    now_s[0] += 1
    assert not piggyback.may_show_watched("x", "generated_post")


async def carry(
    bench: Bench, piggyback: Piggyback, post: str, *items: dict[str, Any], status: str
) -> PollContext:
    """Apply a post's answer to its items, as after a poll of the post."""
    clock_ms = bench.api.services.clock_ms()
    body = {"id": "p1", "status": status, "media_items": [*items]}
    seen = read_object(KINDS["generated_post"], job_id="p1", value=body, lens=Lens(now_ms=clock_ms))
    assert isinstance(seen, Observed)
    loaded = await bench.api.services.store.load_job(post)
    assert loaded is not None
    held = Held(key=post, token=b"", job=loaded, log=await bench.log(post))
    at = PollContext(begun_ms=clock_ms, now_ms=clock_ms)
    await piggyback.observe_parts(held, seen.observation, at)
    return at


async def test_an_item_ends_as_its_post_shows_it(bench: Bench, piggyback: Piggyback) -> None:
    """It ends as by its own poll, related to its post; one that still runs waits for its post's next two polls."""
    post = await bench.register("p1")
    ended, runs = [await bench.register(name, "generated_media_item") for name in ("i1", "i2")]
    done = {"id": "i1", "status": "completed", "media_type": "video", "url": URL}
    at = await carry(
        bench, piggyback, post, done, {"id": "i2", "status": "generating", "media_type": "video"}, status="x"
    )
    assert await bench.event_types(ended) == ["generated_media_item.completed"]
    assert (await bench.job(ended)).ending == "completed"
    shown = await bench.job(runs)
    assert (shown.status, shown.seen, (await bench.log(runs)).polls) == ("generating", True, 1)
    assert at.now_ms + 30_000 <= await bench.due_ms(runs) < at.now_ms + 30_000 + LATE_MS


async def test_an_item_does_not_speak_of_a_conversion_that_it_does_not_show(
    bench: Bench, piggyback: Piggyback
) -> None:
    """A row without the conversion's field changes nothing; with it the conversion is observed."""
    post, voice = await bench.register("p1"), await bench.register("i1", "voice_conversion")
    due_ms = await bench.put_off(voice, FAR_MS)
    item = {"id": "i1", "status": "completed", "url": URL}
    await carry(bench, piggyback, post, item, status="completed")
    assert due_ms <= await bench.due_ms(voice) < due_ms + LATE_MS
    assert not (await bench.job(voice)).seen
    await carry(bench, piggyback, post, {**item, "voice_conversion_status": "completed"}, status="completed")
    assert await bench.event_types(voice) == ["voice_conversion.completed"]


async def test_a_carried_item_is_not_late(bench: Bench, piggyback: Piggyback) -> None:
    """It is due after its post's next polls, so its timeline blames no rate limit."""
    post, runs = await bench.register("p1"), await bench.register("i2", "generated_media_item")
    item = {"id": "i2", "status": "generating", "media_type": "video"}
    await carry(bench, piggyback, post, item, status="generating")
    assert await bench.due_ms(runs) - (await bench.log(runs)).due_ms < 1_000


async def test_what_is_read_together_with_its_post_rides_the_next_time(bench: Bench) -> None:
    """Both were due at once, so the item was in flight when its post was read; the next time it is not."""
    item = {"id": "i1", "status": "generating", "media_type": "video"}
    paths = ["/v1/generated-posts/p1", "/v1/generated-media-items/i1"]
    bench.upstream.lay(paths[0], {"id": "p1", "status": "generating", "media_items": [item]})
    bench.upstream.lay(paths[1], item)
    keys = [await bench.register("p1"), await bench.register("i1", "generated_media_item")]
    asked = 0
    for _ in range(2):
        assert await bench.turn(first=keys[0]) == paths
        asked = bench.api.services.clock_ms()
        for key in keys:
            await bench.put_off(key, 0)
    assert await bench.turn(first=keys[0]) == paths
    assert asked + 30_000 <= await bench.due_ms(keys[1]) < asked + 30_000 + LATE_MS
    await bench.put_off(keys[0], 0)
    assert await bench.turn() == paths[:1]
    assert (await bench.log(keys[1])).polls == 4


async def test_an_item_that_its_post_could_not_take_waits_as_one_that_rode(
    bench: Bench, piggyback: Piggyback, now_s: list[float]
) -> None:
    """It waits once, while its post's answer is fresh, and not for a post that has ended."""
    post, runs = await bench.register("p1"), await bench.register("i2", "generated_media_item")
    item = {"id": "i2", "status": "generating", "media_type": "video"}
    (passenger,) = await lease(bench, runs)
    await carry(bench, piggyback, post, item, status="generating")
    assert [piggyback.min_wait_ms(runs) for _ in range(2)] == [30_000, 0]
    await carry(bench, piggyback, post, item, status="generating")
    now_s[0] += 30
    assert piggyback.min_wait_ms(runs) == 0
    await carry(bench, piggyback, post, {**item, "status": "completed", "url": URL}, status="completed")
    assert piggyback.min_wait_ms(runs) == 0
    assert await bench.api.services.store.poll.settle(runs[0], [return_to_queue(passenger)]) == []
    await carry(bench, piggyback, post, item, status="generating")
    assert piggyback.min_wait_ms(runs) == 0
