"""What pages count by is built once for a data directory of the version before, and kept right by the sweep."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.records import JobState, PollLog
from bridge.services.polling.watched import count_late, list_watched
from bridge.store import keys
from bridge.store.records import pack, pack_job
from bridge.store.tables.accounts import Account
from bridge.store.trouble import trouble_keys
from tests.api.serving import Client, make_settings, serving, settle, tell
from tests.store.conftest import Server
from workers.sweep import prove, tidy

HOUR_MS = 3_600_000


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


async def find_account(api: Client, provider: str = "reelmirror") -> Account:
    return next(each for each in await api.services.store.accounts.all() if each.provider == provider)


async def run_since(api: Client, job_id: str, ms: int, state: JobState = JobState.WATCHING) -> str:
    """Register a job and write what polls of it would have, so long after its beginning."""
    made = await api.register(job_id=job_id)
    key = read_callback_job(made["id"])
    assert key is not None
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    at_ms = api.services.clock_ms() - ms
    job = replace(loaded.record, run_ms=at_ms, clock_ms=at_ms, seen=True, status="running", state=state)
    await api.services.store.redis.set(keys.job(key), pack_job(job))
    await api.services.store.redis.set(keys.poll_log(key), pack(PollLog(polls=1, seen_ms=at_ms)))
    return key


async def test_what_an_earlier_version_wrote_is_listed_at_the_first_turn(api: Client) -> None:
    """Late jobs, and deliveries in trouble; a job that has timed out is late no more."""
    store = api.services.store
    await run_since(api, "new", 1_000)
    await run_since(api, "old", HOUR_MS)
    await run_since(api, "tail", HOUR_MS, JobState.TAIL)
    _, delivery = await tell(api, await api.register(job_id="ended"))
    await settle(api, delivery, DeliveryState.PARKED)
    account = await find_account(api)
    shard = store.shard_of(account.id)
    loaded = await store.load_delivery(delivery)
    assert loaded is not None
    lists = (trouble_keys.parked, trouble_keys.receivers)
    await store.redis.delete(*(name(shard, loaded.record.project) for name in lists))
    await store.redis.delete(trouble_keys.indexed(shard), keys.expected(shard, account.id))
    assert (await store.troubles.count(loaded.record.project))["parked"] == 0
    await tidy(api.services)
    assert (await store.troubles.count(loaded.record.project))["parked"] == 1
    assert await count_late(api.services, [account]) == 1
    shown = await list_watched(api.services, [account], limit=3)
    assert [each.job.id for each in shown[:2]] == ["old", "new"]
    assert (await prove(api.services))["listed"] == 0


async def test_the_sweep_takes_off_what_runs_no_more(api: Client) -> None:
    key = await run_since(api, "1", HOUR_MS)
    account = await find_account(api)
    assert (await prove(api.services))["listed"] == 1
    loaded = await api.services.store.load_job(key)
    assert loaded is not None
    ended = replace(loaded.record, state=JobState.ENDED)
    await api.services.store.redis.set(keys.job(key), pack_job(ended))
    assert await count_late(api.services, [account]) == 1
    assert (await prove(api.services))["listed"] == 1
    assert await count_late(api.services, [account]) == 0
