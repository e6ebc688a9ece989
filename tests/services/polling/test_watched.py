"""What is shown of watched jobs: when most like them would have ended is written when a run is first seen."""

from collections.abc import AsyncIterator

import pytest

from bridge.services.polling.watched import count_late, list_watched
from bridge.store.tables.accounts import Account
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server

PATH = "/v1/sync-jobs/s1"


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


async def account_of(bench: Bench, key: str) -> Account:
    wanted = (await bench.job(key)).account
    return next(each for each in await bench.api.services.store.accounts.all() if each.id == wanted)


async def expected_ms(bench: Bench, key: str) -> int | None:
    job = await bench.job(key)
    return (await bench.api.services.store.upcoming.expected_ms([(job.account, key)]))[0]


async def test_a_run_is_expected_from_its_first_poll_to_its_end(bench: Bench) -> None:
    """The bar's full width is the time that was written, so that it and the count of late jobs agree."""
    key = await bench.register("s1", "sync_job")
    assert await expected_ms(bench, key) is None
    bench.upstream.lay(PATH, {"data": {"id": "s1", "status": "running"}})
    assert await bench.turn() == [PATH]
    job, at_ms = await bench.job(key), await expected_ms(bench, key)
    assert at_ms is not None
    assert at_ms > job.run_ms
    account = await account_of(bench, key)
    (shown,) = await list_watched(bench.api.services, [account], limit=9)
    assert shown.key == key
    assert shown.expected.late_s == (at_ms - job.run_ms) / 1000
    assert await count_late(bench.api.services, [account]) == 0
    bench.upstream.answers.clear()
    bench.upstream.lay(PATH, {"data": {"id": "s1", "status": "completed", "progress": 100}})
    await bench.put_off(key, 0)
    assert await bench.turn() == [PATH]
    assert (await bench.job(key)).ending == "completed"
    tallies = bench.api.services.store.tallies
    await tallies.flush()
    now_ms = bench.api.services.clock_ms()
    today, _ = await tallies.read_days(job.project, now_ms=now_ms)
    assert today == {"sync_job.running": 1, "sync_job.completed": 1}
    hour = (await tallies.read_hours(job.project, now_ms=now_ms))[-1]
    assert (hour.ended, hour.failed, sum(hour.detected.values())) == (1, 0, 1)
    assert await expected_ms(bench, key) is None
