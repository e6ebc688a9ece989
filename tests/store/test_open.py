"""A store is opened the same way for ever: shards and pepper are fixed at first start."""

import pytest
from redis.asyncio import Redis

from bridge.domain.ids import job_key
from bridge.domain.jobs.records import Job, JobState
from bridge.store import keys
from bridge.store.records import pack, pack_object
from bridge.store.store import Store
from bridge.store.vault import UnknownKeyError

OLD, NEW = b"o" * 32, b"n" * 32


async def test_the_number_of_shards_is_fixed_at_first_start(redis: Redis) -> None:
    """A later wish changes nothing: every id already tells its shard."""
    first = await Store.open(redis, keys=[OLD], shards=4, aof=False)
    again = await Store.open(redis, keys=[OLD], shards=2, aof=False)
    assert first.shards == again.shards == "abcd"
    assert {first.shard_of(f"acc_{number}") for number in range(64)} == set("abcd")


@pytest.mark.parametrize("shards", [0, 33])
async def test_an_impossible_number_of_shards_is_refused(redis: Redis, shards: int) -> None:
    """One to thirty-two, as many as there are letters."""
    with pytest.raises(ValueError, match="between 1 and 32"):
        await Store.open(redis, keys=[OLD], shards=shards, aof=False)


async def test_fingerprints_survive_restarts_and_key_rotation(redis: Redis) -> None:
    """The pepper is made once, sealed, and sealed again under the newest key; the old key can then go."""
    text = "https://a.example/hook"
    first = (await Store.open(redis, keys=[OLD], aof=False)).vault.fingerprint(text)
    sealed = await redis.get(keys.PEPPER)
    assert (await Store.open(redis, keys=[OLD], aof=False)).vault.fingerprint(text) == first
    assert await redis.get(keys.PEPPER) == sealed
    assert (await Store.open(redis, keys=[NEW, OLD], aof=False)).vault.fingerprint(text) == first
    assert (await Store.open(redis, keys=[NEW], aof=False)).vault.fingerprint(text) == first
    with pytest.raises(UnknownKeyError):
        await Store.open(redis, keys=[OLD], aof=False)


async def test_single_records_are_read_by_their_ids(store: Store) -> None:
    """Job, log, delivery, event and object; None where there is nothing."""
    key = job_key("a", "acc_1", "sync_job", "1")
    assert await store.load_job(key) is None
    assert await store.load_log(key) is None
    assert await store.load_delivery("dlv_a1") is None
    assert await store.load_event("evt_a1") is None
    assert await store.load_object(key) is None
    job = Job(
        project="prj_1",
        account="acc_1",
        kind="sync_job",
        id="1",
        born_ms=1,
        state=JobState.WATCHING,
        run=1,
        run_ms=1,
        clock_ms=1,
    )
    await store.redis.set(keys.job(key), pack(job))
    await store.redis.set(keys.observed(key), pack_object({"id": "1", "n": 12.0}))
    loaded = await store.load_job(key)
    assert loaded is not None
    assert loaded.record == job
    assert await store.load_object(key) == {"id": "1", "n": 12.0}
