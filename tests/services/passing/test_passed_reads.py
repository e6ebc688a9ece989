"""Clients' own reads, applied to watched jobs in a real store."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bridge.providers.passing import Shown, Sight
from bridge.services.passing.passed_answers import MAX_WAITING, PassedAnswers
from bridge.services.passing.passed_reads import PATIENCE, PassedAnswer, PassedReads
from bridge.services.passing.unwatched_jobs import UnwatchedJobs
from tests.e2e.processes import until
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

FAR_MS = 600_000
JOB = "/v1/sync-jobs/s1"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


def passed(
    bench: Bench, body: Any, *, sight: Sight = Sight.STATE, begun_ms: int | None = None, age_s: int = 0
) -> PassedAnswer:
    """Return an answer about the job `s1` that began and ended now."""
    now_ms = bench.api.services.clock_ms()
    return PassedAnswer(
        shown=Shown(sight=sight, kinds=("sync_job",), job_id="s1", age_s=age_s),
        headers={},
        body=msgspec.json.encode(body),
        begun_ms=now_ms if begun_ms is None else begun_ms,
        ended_ms=now_ms,
    )


async def watch(bench: Bench, status: str = "running") -> str:
    """Register the job, let the bridge read it once, and make it due much later; return its key."""
    bench.upstream.lay(JOB, {"data": {"id": "s1", "status": status}})
    key = await bench.register("s1", "sync_job")
    assert await bench.turn() == [JOB]
    return key


async def apply(bench: Bench, key: str, *answers: PassedAnswer, reads: PassedReads | None = None) -> None:
    account = (await bench.job(key)).account
    await (reads or PassedReads(bench.api.services, UnwatchedJobs())).apply(account, answers)


def state(status: str) -> dict[str, Any]:
    return {"data": {"id": "s1", "status": status}}


async def until_later(bench: Bench, key: str) -> None:
    """Wait until the store's clock is behind the job's last poll, as it is for any read that follows."""
    last_ms = (await bench.log(key)).last_ms

    async def look() -> bool:
        return bench.api.services.clock_ms() > last_ms

    await until(look, within_s=1, every_s=0.001)


async def endings(bench: Bench, key: str) -> list[str]:
    return [each for each in await bench.event_types(key) if each != "sync_job.running"]


async def test_a_passing_read_counts_as_a_poll(bench: Bench) -> None:
    """The next poll is due later than a client that reads at the documented pace, also when nothing has changed."""
    key = await watch(bench)
    reads = PassedReads(bench.api.services, UnwatchedJobs())
    for polls in (2, 3, 4):
        await until_later(bench, key)
        now_ms = bench.api.services.clock_ms()
        await apply(bench, key, passed(bench, state("running")), reads=reads)
        log = await bench.log(key)
        assert log.polls == polls
        assert await bench.due_ms(key) >= now_ms + round(PATIENCE * log.interval_s * 1000)
    assert await endings(bench, key) == []


async def test_a_passing_read_ends_a_job(bench: Bench) -> None:
    """Its ending has the event that a poll would have made, once, however often it passes."""
    key = await watch(bench)
    await until_later(bench, key)
    await apply(bench, key, passed(bench, state("completed")))
    assert await endings(bench, key) == ["sync_job.completed"]
    await apply(bench, key, passed(bench, state("completed")))
    assert await endings(bench, key) == ["sync_job.completed"]


@pytest.mark.parametrize(("etag", "polls"), [("v1", 4), ("v2", 3), ("", 3)])
async def test_a_304_counts_as_a_poll_where_its_answer_is_known(bench: Bench, etag: str, polls: int) -> None:
    """That is one with the same ETag, after which nothing has changed."""
    key = await watch(bench)
    reads = PassedReads(bench.api.services, UnwatchedJobs())
    for _ in range(2):
        await until_later(bench, key)
        answer = replace(passed(bench, state("running")), headers={"etag": "v1"})
        await apply(bench, key, answer, reads=reads)
    await until_later(bench, key)
    shown = Shown(sight=Sight.SAME, kinds=("sync_job",), job_id="s1", etag=etag)
    await apply(bench, key, replace(passed(bench, {}), shown=shown, body=b""), reads=reads)
    log = await bench.log(key)
    assert (log.polls, (await bench.job(key)).status) == (polls, "running")


async def test_of_answers_that_gathered_the_latest_counts(bench: Bench) -> None:
    """They come in the order in which they ended; what counts is when their requests began."""
    key = await watch(bench)
    await until_later(bench, key)
    now_ms = bench.api.services.clock_ms()
    late = passed(bench, state("running"), begun_ms=now_ms - 1)
    await apply(bench, key, passed(bench, state("completed"), begun_ms=now_ms), late)
    assert await endings(bench, key) == ["sync_job.completed"]


@pytest.mark.parametrize("age_s", [0, 60])
async def test_what_began_before_the_last_poll_is_ignored(bench: Bench, age_s: int) -> None:
    """So is what a cache had kept since then."""
    before_ms = bench.api.services.clock_ms()
    key = await watch(bench)
    await until_later(bench, key)
    due_ms = await bench.due_ms(key)
    begun_ms = bench.api.services.clock_ms() if age_s else before_ms
    await apply(bench, key, passed(bench, state("completed"), begun_ms=begun_ms, age_s=age_s))
    assert (await bench.log(key)).polls == 1
    assert await endings(bench, key) == []
    assert abs(await bench.due_ms(key) - due_ms) < FAR_MS / 10


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"id": "another", "status": "completed"}},
        ["completed"],
        "completed",
    ],
)
async def test_what_shows_no_state_of_the_job_changes_nothing(bench: Bench, body: object) -> None:
    """The job keeps its place in the queue."""
    key = await watch(bench)
    due_ms = await bench.put_off(key, FAR_MS)
    await until_later(bench, key)
    await apply(bench, key, passed(bench, body))
    assert (await bench.log(key)).polls == 1
    assert abs(await bench.due_ms(key) - due_ms) < FAR_MS / 10


@pytest.mark.parametrize("sight", [Sight.ABSENCE, Sight.CHANGE])
async def test_what_may_have_changed_is_read_by_the_bridge_at_once(bench: Bench, sight: Sight) -> None:
    """A 404 and a change that pass conclude nothing by themselves."""
    key = await watch(bench)
    await bench.put_off(key, FAR_MS)
    await until_later(bench, key)
    await apply(bench, key, passed(bench, {}, sight=sight))
    assert await bench.due_ms(key) <= bench.api.services.clock_ms()
    assert (await bench.job(key)).missing_reads == 0
    assert await endings(bench, key) == []


async def test_a_job_that_was_never_found_is_not_read_for_each_404(bench: Bench) -> None:
    """A new id may not be readable yet: the bridge looks at its own pace."""
    key = await bench.register("s1", "sync_job")
    assert await bench.turn() == [JOB]
    due_ms = await bench.put_off(key, FAR_MS)
    await until_later(bench, key)
    await apply(bench, key, passed(bench, {}, sight=Sight.ABSENCE))
    assert abs(await bench.due_ms(key) - due_ms) < FAR_MS / 10


async def test_what_began_before_a_registration_does_not_put_off_its_first_read(bench: Bench) -> None:
    """It says nothing to that callback, which waits for a read of its own."""
    before_ms = bench.api.services.clock_ms() - 1
    key = await bench.register("s1", "sync_job")
    await apply(bench, key, passed(bench, state("completed"), begun_ms=before_ms))
    assert (await bench.log(key)).polls == 0
    assert await bench.due_ms(key) <= bench.api.services.clock_ms() + 1000


async def test_another_account_does_not_touch_a_job(bench: Bench) -> None:
    """The same id may be another's job there."""
    key = await watch(bench)
    await until_later(bench, key)
    await PassedReads(bench.api.services, UnwatchedJobs()).apply(
        "a_another", [passed(bench, state("completed"))]
    )
    assert (await bench.log(key)).polls == 1
    assert await endings(bench, key) == []


async def test_what_is_too_much_is_dropped(bench: Bench) -> None:
    """What had come before is applied, and so is what comes afterwards."""
    key = await watch(bench)
    await until_later(bench, key)
    account, answers = (await bench.job(key)).account, PassedAnswers(bench.api.services)
    late = passed(bench, state("completed"))
    for number in range(MAX_WAITING):
        shown = Shown(sight=Sight.STATE, kinds=("sync_job",), job_id=f"other{number}")
        answers.note(account, replace(late, shown=shown))
    answers.note(account, late)
    await answers.close()
    assert (await bench.log(key)).polls == 1
    answers.note(account, passed(bench, state("completed")))
    await answers.close()
    assert await endings(bench, key) == ["sync_job.completed"]


async def test_of_many_answers_about_a_job_the_latest_is_applied(bench: Bench) -> None:
    """As one poll, in whatever order they come."""
    key = await watch(bench)
    await until_later(bench, key)
    account, answers = (await bench.job(key)).account, PassedAnswers(bench.api.services)
    now_ms = bench.api.services.clock_ms()
    for _ in range(2 * MAX_WAITING):
        answers.note(account, passed(bench, state("running"), begun_ms=now_ms))
    answers.note(account, passed(bench, state("completed"), begun_ms=now_ms + 1))
    answers.note(account, passed(bench, state("running"), begun_ms=now_ms))
    await answers.close()
    assert (await bench.log(key)).polls == 2
    assert await endings(bench, key) == ["sync_job.completed"]
