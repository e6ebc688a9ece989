"""When retention ends, all of a job goes, in steps that keep nobody waiting; and what is in use stays whole."""

import os
from typing import Any

import pytest

from bridge.domain.deliveries.records import DeliveryState
from bridge.services.jobs.retention import STEP, end_retention
from bridge.store import feed_keys, keys
from bridge.store.commit import Change, Delete
from tests.api.serving import Client
from tests.services.jobs.ended_jobs import end_job
from workers.sweep import tidy

DELIVERIES = int(os.environ.get("REELBRIDGE_RETENTION_DELIVERIES", "2000"))
A_JOB = 20  # deliveries
WARM = 2_000  # deliveries before the first look at the memory: the tables that stay have their size by then


async def ended(api: Client, number: int = 1, **options: Any) -> str:
    made = await api.register(job_id=f"job-{number}", callback_url="https://hooks.example.test/")
    await api.services.store.redis.delete(keys.hold(made["id"]))  # as after a moment
    return await end_job(api.services, made["id"], **options)


async def rest(api: Client, key: str) -> list[str]:
    """Return what is left of a job, the lists of its project included."""
    store = api.services.store
    found = [each async for each in store.redis.scan_iter(f"*{key}*")]
    events = [each async for each in store.redis.scan_iter("*:e:evt_*")]
    deliveries = [each async for each in store.redis.scan_iter("*:d:dlv_*")]
    listed = await store.redis.zrange(keys.deliveries("a", "prj_default"), 0, -1)
    fed = await store.redis.zrange(feed_keys.feed("prj_default"), 0, -1)
    return sorted(str(each) for each in [*found, *events, *deliveries, *listed, *fed])


@pytest.fixture
def commits(api: Client, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """The changes that are committed from now on."""
    made: list[Change] = []
    committer = api.services.store.committer
    commit = committer.commit

    async def noted(change: Change, **how: Any) -> Any:
        made.append(change)
        return await commit(change, **how)

    monkeypatch.setattr(committer, "commit", noted)
    return made


async def test_a_large_job_goes_in_steps(api: Client, commits: list[Change]) -> None:
    """No commit removes more than a step, the job goes with the last one, and nothing is left."""
    key = await ended(api, events=STEP + 1, deliveries=2 * STEP + 1)
    commits.clear()
    assert await end_retention(api.services, "a") == 1
    deleted = [{op.key for op in change.ops if isinstance(op, Delete)} for change in commits]
    assert [keys.job(key) in each for each in deleted] == [False] * (len(deleted) - 1) + [True]
    assert max(map(len, deleted)) <= STEP + 10
    assert len(deleted) >= 4
    assert await rest(api, key) == []


async def test_a_delivery_that_waits_keeps_all_of_its_job(api: Client, commits: list[Change]) -> None:
    """Also where it is the last of many: what was delivered stays readable beside it."""
    states = [DeliveryState.SUCCEEDED] * (STEP - 1) + [DeliveryState.PENDING]
    key = await ended(api, deliveries=STEP, states=states)
    before = await rest(api, key)
    commits.clear()
    assert await end_retention(api.services, "a") == 0
    assert len(commits) == 1
    assert await rest(api, key) == before
    assert await api.services.store.redis.zscore(keys.ended("a"), key) > api.services.clock_ms()


async def test_a_crash_between_two_steps_is_made_good(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next turn goes on; until then the job is there, with what is left of it."""
    key = await ended(api, deliveries=STEP + 1)
    committer = api.services.store.committer
    commit, left = committer.commit, [1]

    async def dying(change: Change, **how: Any) -> Any:
        if not left:
            raise ConnectionError
        left.pop()
        return await commit(change, **how)

    with monkeypatch.context() as patch:
        patch.setattr(committer, "commit", dying)
        with pytest.raises(ConnectionError):
            await end_retention(api.services, "a")
    assert await api.services.store.load_job(key) is not None
    assert len(await api.services.store.indexes.job_deliveries(key)) == 1
    assert await end_retention(api.services, "a") == 1
    assert await rest(api, key) == []


@pytest.mark.timeout(1200)
async def test_memory_returns_to_its_baseline(api: Client) -> None:
    """Within 5 %, once everything that ended has been removed; no key is left over. `make retention` takes 100,000."""
    await pass_through(api, 0, WARM)
    memory, names = await used(api), await count_keys(api)
    await pass_through(api, WARM, DELIVERIES)
    again = await used(api)
    print(f"{DELIVERIES:,} deliveries: {memory:,} bytes before, {again:,} after")  # noqa: T201 -- what `make retention` shows
    assert await count_keys(api) == names
    assert again <= memory * 1.05, (memory, again)


async def pass_through(api: Client, first: int, count: int) -> None:
    """Let so many deliveries be made, end, and leave with their jobs."""
    jobs = count // A_JOB
    for start in range(0, jobs, 100):
        for number in range(start, min(jobs, start + 100)):
            await ended(api, first + number, events=2, deliveries=A_JOB)
        while (await tidy(api.services))["removed"]:
            pass
    await api.services.store.outbox.drain(now_ms=api.services.clock_ms() + 60_000)


async def used(api: Client) -> int:
    """Return the bytes that the server has in use, its own included, but not what its connections hold just now."""
    memory = await api.services.store.redis.info("memory")
    passing = ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer")
    return int(memory["used_memory"]) - sum(int(memory[name]) for name in passing)


async def count_keys(api: Client) -> int:
    return int(await api.services.store.redis.dbsize())
