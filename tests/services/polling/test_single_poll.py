"""Single polls: an answer that only shows progress is stored without a commit of its own."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.store import keys
from bridge.store.commit import Change, CommitResult
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

JOB = "/v1/sync-jobs/s1"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


@pytest.fixture
def commits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """Record the changes that go through the committer."""
    made: list[Change] = []
    committer = bench.api.services.store.committer
    commit = committer.commit

    async def noted(change: Change, **how: Any) -> CommitResult:
        made.append(change)
        return await commit(change, **how)

    monkeypatch.setattr(committer, "commit", noted)
    return made


def running(progress: int, **more: Any) -> dict[str, Any]:
    return {"data": {"id": "s1", "status": "running", "progress": progress, **more}}


async def read_again(bench: Bench, key: str, answer: dict[str, Any]) -> Any:
    bench.upstream.lay(JOB, answer)
    await bench.put_off(key, 0)
    assert await bench.turn() == [JOB]
    return await bench.api.services.store.load_object(key)


async def test_progress_is_kept_without_a_commit_of_its_own(bench: Bench, commits: list[Change]) -> None:
    key = await bench.register("s1", kind="sync_job")
    commits.clear()
    bench.upstream.lay(JOB, running(10))
    await bench.turn()
    assert len(commits) == 1, "the first read makes the records"
    first = await bench.job(key)
    bench.upstream.answers.clear()
    assert (await read_again(bench, key, running(40)))["progress"] == 40
    assert len(commits) == 1
    assert (await bench.job(key), (await bench.log(key)).polls) == (first, 2)
    assert await bench.due_ms(key) > bench.api.services.clock_ms()


async def test_a_large_object_is_committed_by_itself(bench: Bench, commits: list[Change]) -> None:
    """A page of them in one script would keep every other command waiting."""
    key = await bench.register("s1", kind="sync_job")
    bench.upstream.lay(JOB, running(10))
    await bench.turn()
    commits.clear()
    bench.upstream.answers.clear()
    noise = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(20_000))
    assert (await read_again(bench, key, running(20, note=noise)))["note"] == noise
    assert len(commits) == 1


async def test_an_ending_after_progress_is_told(bench: Bench, commits: list[Change]) -> None:
    key = await bench.register("s1", kind="sync_job")
    bench.upstream.lay(JOB, running(10))
    await bench.turn()
    bench.upstream.answers.clear()
    await read_again(bench, key, running(40))
    commits.clear()
    bench.upstream.answers.clear()
    ended = {"data": {"id": "s1", "status": "completed", "progress": 100}}
    assert (await read_again(bench, key, ended))["progress"] == 100
    assert len(commits) == 1
    assert await bench.event_types(key) == ["sync_job.running", "sync_job.completed"]


async def end_as_gone(bench: Bench, key: str) -> dict[str, Any]:
    """Let the provider answer 404 twice; the event of the end."""
    bench.upstream.answers.clear()
    for _ in range(2):
        await bench.put_off(key, 0)
        await bench.turn()
    store = bench.api.services.store
    event = await store.load_event((await bench.job(key)).ending_event)
    assert event is not None
    body: dict[str, Any] = json.loads(event.body)
    return body


async def test_a_deleted_job_is_told_with_the_last_object_seen(bench: Bench) -> None:
    """Also what only progress had shown, and what it belonged to; nobody can read it any more."""
    key = await bench.register("s1", kind="sync_job")
    bench.upstream.lay(JOB, running(10, persona_id="n1"))
    await bench.turn()
    bench.upstream.answers.clear()
    await read_again(bench, key, running(40, persona_id="n1"))
    event = await end_as_gone(bench, key)
    assert (event["type"], event["status"]) == ("sync_job.deleted", "running")
    assert event["data"] == running(40, persona_id="n1")["data"]
    assert event["related"] == {"persona_id": "n1"}
    assert event["bridge"]["data_source"] == "last_seen"


async def test_a_deleted_job_whose_object_cannot_be_read_is_told_all_the_same(bench: Bench) -> None:
    """With its id alone."""
    key = await bench.register("s1", kind="sync_job")
    bench.upstream.lay(JOB, running(10))
    await bench.turn()
    await bench.api.services.store.redis.set(keys.observed(key), b"broken")
    event = await end_as_gone(bench, key)
    assert (event["type"], event["data"]) == ("sync_job.deleted", {"id": "s1"})
    assert "data_source" not in event["bridge"]
