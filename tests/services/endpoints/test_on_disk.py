"""An endpoint hears of a job that was registered a moment ago only when that is on disk."""

import pytest
from msgspec.structs import replace

from bridge.services.deliveries.attempt import NEW_MS, load_ready
from bridge.store.unit_of_work import UnitOfWork
from tests.services.endpoints.standing import create, deliveries, end_job, inbox, records
from tests.services.polling.upstreams import Bench
from tests.workers.attempts import Worker

ELSEWHERE = "http://127.0.0.1:9/x"  # of the callback, whose delivery is none of these tests' business


class Disk:
    """What is on disk, instead of the store's."""

    def __init__(self) -> None:
        self.is_there = self.is_known_slow = False
        self.asked: list[str] = []

    async def is_durable(self, identifier: str) -> bool:
        self.asked.append(identifier)
        return self.is_there

    def is_slow(self, identifier: str) -> bool:
        return self.is_known_slow

    async def finish(self) -> None:
        pass


@pytest.fixture
def disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(bench.api.services.store, "durability", disk)
    return disk


async def test_a_first_delivery_waits_for_the_disk(bench: Bench, disk: Disk) -> None:
    """It is put off without an attempt, and sent once the job is there."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1", callback_url=ELSEWHERE)
    delivery = (await records(bench, key))[endpoint].id
    worker = Worker(bench.api)
    task = await worker.take(delivery)
    assert task is not None
    (put_off,) = await worker.handler.work(task)
    assert (put_off.delay_ms, put_off.records, put_off.outcome) == (1_000, (), "")
    assert disk.asked == [delivery]
    (listed,) = await deliveries(bench, endpoint)
    assert listed["attempt_count"] == 0
    assert not await inbox(bench)
    disk.is_there = True
    await worker.finish(task)
    assert len(await inbox(bench)) == 1


async def test_only_a_first_attempt_for_an_endpoint_of_a_new_job_waits(bench: Bench) -> None:
    """Not a callback's, which waits for the answer to its registration, not a retry, not one of an older job."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1", callback_url=ELSEWHERE)
    found, store = await records(bench, key), bench.api.services.store
    (callback,) = [each.id for subscription, each in found.items() if subscription != endpoint]
    mine = found[endpoint].id
    born_ms = (await bench.job(key)).born_ms

    async def list_new(now_ms: int) -> list[str]:
        loaded = await load_ready(store, [mine, callback], now_ms=now_ms)
        return [each.delivery.record.id for each in loaded.ready.values() if each.is_new]

    assert await list_new(born_ms + NEW_MS - 1) == [mine]
    assert await list_new(born_ms + NEW_MS) == []
    before = await store.load_delivery(mine)
    assert before is not None
    unit = UnitOfWork(key[0], now_ms=bench.api.services.clock_ms(), retention_s=3600)
    unit.put_delivery(replace(before.record, tries=1), before)
    assert await store.committer.commit(unit.change()) == "done"
    assert await list_new(born_ms) == []


async def test_a_disk_that_is_known_to_be_slow_takes_no_slot_and_no_turn(bench: Bench, disk: Disk) -> None:
    """The delivery goes back before the endpoint's rate limit is asked, which would count it as sent."""
    endpoint = await create(bench, rate_limit_per_second=0.01)
    key = await end_job(bench, "s1", callback_url=ELSEWHERE)
    delivery = (await records(bench, key))[endpoint].id
    worker = Worker(bench.api)
    disk.is_known_slow = True
    assert await worker.take(delivery) is None
    due_ms = await worker.store.dlv.due_of(key[0], (await worker.read(delivery)).lane, delivery)
    assert due_ms is not None
    assert due_ms - await worker.store.time_ms() <= 1_000
    assert not disk.asked


async def test_what_a_killed_store_has_lost_meanwhile_is_not_sent(bench: Bench, disk: Disk) -> None:
    """The store that confirms is another one then, which has neither the job nor the lease."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1", callback_url=ELSEWHERE)
    delivery = (await records(bench, key))[endpoint]
    worker = Worker(bench.api)
    task = await worker.take(delivery.id)
    assert task is not None
    await worker.store.redis.flushall()
    disk.is_there = True
    await worker.finish(task)
    assert not await worker.store.redis.keys("*inbox*")
