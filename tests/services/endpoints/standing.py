"""Endpoints of a running API, jobs that end, and what is delivered of them."""

from typing import Any

from bridge.domain.deliveries.records import Delivery
from tests.services.polling.upstreams import Bench
from tests.workers.attempts import Worker

JOB = "/v1/sync-jobs/{id}"


async def create(bench: Bench, **fields: Any) -> str:
    """Make an endpoint that goes to the inbox unless told otherwise; return its id."""
    status, made = await bench.api.call("POST", "/v1/endpoints", json={"url": "inbox:", **fields})
    assert status == 201, made
    return str(made["id"])


async def end_job(bench: Bench, job_id: str, status: str = "completed", **fields: Any) -> str:
    """Register a sync job that has ended and let it be read; return its key."""
    bench.upstream.lay(JOB.format(id=job_id), {"data": {"id": job_id, "status": status}})
    key = await bench.register(job_id, "sync_job", **fields)
    while not await bench.event_types(key):  # a list may be tried first, which this upstream does not have
        await bench.put_off(key, 0)
        await bench.turn()
    return key


async def deliveries(bench: Bench, endpoint: str) -> list[dict[str, Any]]:
    """Return what the API lists of an endpoint's deliveries."""
    status, page = await bench.api.call("GET", f"/v1/deliveries?endpoint_id={endpoint}")
    assert status == 200, page
    return list(page["data"])


async def records(bench: Bench, key: str) -> dict[str, Delivery]:
    """Return a job's deliveries by subscription; each has one here."""
    store = bench.api.services.store
    found = [await store.load_delivery(each) for each in await store.indexes.job_deliveries(key)]
    return {each.record.subscription: each.record for each in found if each}


async def send(bench: Bench, key: str) -> list[str]:
    """Let a worker send what is due in the lanes of a job's deliveries; return the ids of the subscriptions."""
    worker, store = Worker(bench.api), bench.api.services.store
    sent = []
    for lane in sorted({each.lane for each in (await records(bench, key)).values()}):
        claim = await store.dlv.claim(
            key[0], [(lane, 50)], most=50, page=50, lease_ms=worker.handler.lease_ms
        )
        tasks, settled = await worker.handler.load(key[0], claim)
        await worker.settle(settled)
        for task in tasks:
            await worker.finish(task)
            sent.append(task.ready.subscription.id)
    return sent


async def inbox(bench: Bench) -> list[dict[str, Any]]:
    """Return what the inbox has, newest first."""
    _, page = await bench.api.call("GET", "/v1/inbox")
    return list(page["data"])
