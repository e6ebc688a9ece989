"""What a watched job costs in memory, and what an item costs the server in time. On a real server only."""

import pytest
from redis.asyncio import Redis

from bridge.domain.ids import callback_id, job_key
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.store import keys
from bridge.store.commit import Change, Due, Guard, Put
from bridge.store.queue.lanes import Settled
from bridge.store.records import pack
from bridge.store.store import Store
from bridge.store.tables.indexes import rank_callback

JOBS = 5000
NOW_MS = 1_795_000_000_000


def register(store: Store, number: int) -> Change:
    """A job with one callback on a URL of 60 bytes, its place in the queue and its index entries."""
    account = f"acc_{number % 100:016x}"
    job_id = f"1b9d6bcd-bbfd-4b2d-9b5d-{number:012x}"
    key = job_key("a", account, "generated_post", job_id)
    identifier = callback_id(key, lambda size: number.to_bytes(size, "big"))
    url = f"https://hooks.customer.example/webhook-waiting/{number:012}x"
    assert len(url) == 60
    callback = Callback(
        id=identifier,
        state=CallbackState.WATCHING,
        created_ms=NOW_MS + number,
        url=store.vault.seal(url.encode(), record=identifier),
        origin="https://hooks.customer.example",
        masked="",
        fingerprint=store.vault.fingerprint(url),
        expires_ms=NOW_MS + 600_000,
    )
    job = Job(
        project="prj_default",
        account=account,
        kind="generated_post",
        id=job_id,
        born_ms=NOW_MS,
        state=JobState.WATCHING,
        run=1,
        run_ms=NOW_MS,
        clock_ms=NOW_MS,
        callbacks=(callback,),
    )
    ops = (Put(keys.job(key), pack(job)), Due("poll", account, key, 0, "sooner"))
    guards = (Guard(keys.job(key), None),)
    return Change("a", guards, (*ops, *rank_callback("prj_default", callback)))


@pytest.fixture
async def filled(real: Redis) -> tuple[Store, int]:
    """A store with many watched jobs, and the bytes they took."""
    store = await Store.open(real, keys=[b"k" * 32], aof=False)
    await store.committer.commit(Change("a", (), ()))  # the script's own memory is not the jobs'
    before = (await real.info("memory"))["used_memory"]
    for start in range(0, JOBS, 500):
        changes = [register(store, number) for number in range(start, start + 500)]
        assert set(await store.committer.commit_many(changes, new_work=True)) == {"done"}
    return store, (await real.info("memory"))["used_memory"] - before


async def test_a_watched_job_takes_no_more_than_900_bytes(filled: tuple[Store, int]) -> None:
    """Record, sealed URL, queue and both indexes together."""
    assert filled[1] / JOBS <= 900


async def test_claiming_and_settling_is_cheap_for_the_server(filled: tuple[Store, int]) -> None:
    """The scripts' own time an item, with a wide margin over what is measured on a quiet machine (22 µs)."""
    store, _ = filled
    await store.redis.config_resetstat()
    items = 0
    while items < JOBS:
        due = [(lane, 0) for _, lane, _ in await store.poll.peek()]
        held = await store.poll.claim("a", due, most=200, page=50, lease_ms=60_000)
        settled = [
            Settled(item.lane, item.member, held.token, 60_000, ((keys.poll_log(item.member), b"l" * 100),))
            for item in held.items
        ]
        for start in range(0, len(settled), 20):
            assert await store.poll.settle("a", settled[start : start + 20]) == []
        items += len(settled)
    stats = await store.redis.info("commandstats")
    spent = sum(stats[name]["usec"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats)
    assert spent / items <= 150
