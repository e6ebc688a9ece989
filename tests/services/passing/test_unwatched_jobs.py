"""What nobody watches is remembered for a moment, and no longer."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from bridge.providers.passing import Shown, Sight
from bridge.services.passing.passed_answers import PassedAnswers
from bridge.services.passing.passed_reads import PassedAnswer
from bridge.services.passing.unwatched_jobs import MAX_AGE_S, UnwatchedJobs
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

JOB = "/v1/sync-jobs/s1"


@pytest.fixture
def now_s() -> list[float]:
    """A clock that a test moves."""
    return [100.0]


@pytest.fixture
def unwatched(now_s: list[float]) -> UnwatchedJobs:
    return UnwatchedJobs(most=3, clock_s=lambda: now_s[0])


def test_a_path_is_remembered_for_a_second(unwatched: UnwatchedJobs, now_s: list[float]) -> None:
    """Counted from the moment at which the store was asked: a registration after it is noticed that soon."""
    unwatched.note("a", JOB, asked_s=now_s[0])
    now_s[0] += MAX_AGE_S - 0.01
    assert unwatched.has("a", JOB)
    now_s[0] += 0.01
    assert not unwatched.has("a", JOB)


def test_another_account_and_another_path_are_not_meant(unwatched: UnwatchedJobs, now_s: list[float]) -> None:
    """Without a path all of an account's are."""
    unwatched.note("a", JOB, asked_s=now_s[0])
    assert not unwatched.has("b", JOB)
    assert not unwatched.has("a", JOB + "2")
    unwatched.note("a", asked_s=now_s[0])
    assert unwatched.has("a", JOB + "2")
    assert not unwatched.has("b", JOB)


def test_the_oldest_are_forgotten_first(unwatched: UnwatchedJobs, now_s: list[float]) -> None:
    """What is noted again is new."""
    for path in ("1", "2", "3", "1", "4"):
        unwatched.note("a", path, asked_s=now_s[0])
    assert [path for path in "1234" if unwatched.has("a", path)] == ["1", "3", "4"]


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


async def pass_read(bench: Bench, answers: PassedAnswers, account: str, *, job_id: str = "s1") -> None:
    """Let the read of a completed job pass, as the proxy does, and wait until it has been used."""
    path = f"/v1/sync-jobs/{job_id}"
    if not answers.are_needed(account, path):
        return
    now_ms = bench.api.services.clock_ms()
    body = msgspec.json.encode({"data": {"id": job_id, "status": "completed"}})
    shown = Shown(sight=Sight.STATE, kinds=("sync_job",), job_id=job_id)
    answer = PassedAnswer(
        shown=shown, path=path, headers={}, body=body, begun_ms=now_ms + 1, ended_ms=now_ms + 1
    )
    answers.note(account, answer)
    await answers.close()


@pytest.mark.parametrize("others", [False, True])
async def test_a_registration_elsewhere_is_noticed_within_a_second(
    bench: Bench, unwatched: UnwatchedJobs, now_s: list[float], *, others: bool
) -> None:
    """Whichever process takes it: nothing tells this one; also where the account watches other jobs."""
    key = await bench.register("other", "sync_job")
    account = (await bench.job(key)).account
    if not others:
        await bench.api.call("DELETE", "/v1/callbacks?job_id=other")
    answers = PassedAnswers(bench.api.services, unwatched)
    await pass_read(bench, answers, account)
    assert unwatched.has(account, "/any") is not others
    key = await bench.register("s1", "sync_job")
    now_s[0] += MAX_AGE_S - 0.01
    await pass_read(bench, answers, account)
    assert await bench.event_types(key) == []
    now_s[0] += 0.01
    await pass_read(bench, answers, account)
    assert await bench.event_types(key) == ["sync_job.completed"]


async def test_a_job_that_is_being_read_counts_as_watched(bench: Bench, unwatched: UnwatchedJobs) -> None:
    """A worker has it; the next answer that passes may find it waiting."""
    key = await bench.register("s1", "sync_job")
    account, lanes = (await bench.job(key)).account, bench.api.services.store.poll
    await lanes.hold(key[0], account, [key], lease_ms=60_000)
    answers = PassedAnswers(bench.api.services, unwatched)
    await pass_read(bench, answers, account)
    assert answers.are_needed(account, JOB)
