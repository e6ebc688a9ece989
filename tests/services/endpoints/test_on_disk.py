"""An endpoint hears of a job that was registered a moment ago only when that is on disk."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.services.jobs.registration import HOLD_MS
from tests.services.endpoints.standing import create, deliveries, end_job, inbox, records
from tests.services.polling.upstreams import Bench
from tests.workers.attempts import Worker


class Disk:
    """What is on disk, instead of the store's."""

    def __init__(self) -> None:
        self.has_all = False
        self.asked: list[tuple[str, int]] = []

    def wait_ms(self, shard: str, at_ms: int) -> int:
        self.asked.append((shard, at_ms))
        return 0 if self.has_all else 25


async def claim_and_load(
    bench: Bench, key: str, endpoint: str, *, later_ms: int = 0
) -> tuple[list[Any], list[Any]]:
    """Return what a worker would send to an endpoint now, or some time later, and what it settles."""
    worker, delivery = Worker(bench.api), (await records(bench, key))[endpoint]
    claim = await worker.store.dlv.claim(key[0], [(delivery.lane, 9)], most=9, page=9, lease_ms=60_000)
    tasks, settled = await worker.handler.load(key[0], replace(claim, now_ms=claim.now_ms + later_ms))
    await worker.settle(settled)
    return tasks, settled


@pytest.fixture
def disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(bench.api.services.store, "on_disk", disk)
    return disk


async def test_a_first_delivery_waits_for_the_disk(bench: Bench, disk: Disk) -> None:
    """It is looked at again a moment later, without an attempt; then it is sent."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1", callback_url="http://127.0.0.1:9/x")
    delivery = (await records(bench, key))[endpoint]
    tasks, (settled,) = await claim_and_load(bench, key, endpoint)
    assert (tasks, settled.delay_ms) == ([], 25)
    assert disk.asked == [(key[0], delivery.created_ms)]
    (listed,) = await deliveries(bench, endpoint)
    assert (listed["state"], listed["attempt_count"]) == ("pending", 0)
    disk.has_all = True
    worker = Worker(bench.api)
    while (task := await worker.take(delivery.id)) is None:  # noqa: ASYNC110 -- the queue has no event to wait on
        await asyncio.sleep(0.01)
    await worker.finish(task)
    assert len(await inbox(bench)) == 1


async def test_a_job_that_was_registered_long_ago_is_not_waited_for(bench: Bench, disk: Disk) -> None:
    """The disk is not even asked."""
    endpoint = await create(bench)
    key = await end_job(bench, "s1", callback_url="http://127.0.0.1:9/x")
    tasks, settled = await claim_and_load(bench, key, endpoint, later_ms=HOLD_MS)
    assert (len(tasks), settled, disk.asked) == (1, [], [])
