"""The sweep: proves that whatever is alive is scheduled, repairs it, and counts what it had to repair.

In normal life it repairs nothing; it also ends retention and completes what a killed process left half done.
"""

from typing import Final

import structlog

from bridge.domain.deadlines import is_live
from bridge.domain.job import DeliveryState, Job
from bridge.domain.next_read import is_done
from bridge.services.context import Services
from bridge.services.drafts import Draft
from bridge.services.reads import load_deliveries, load_jobs
from bridge.services.retention import end_retention
from bridge.store.records import Loaded
from bridge.store.scan import scan_deliveries, scan_jobs

log = structlog.get_logger()

SCAN_COUNT: Final = 500
OUTBOX_AGE_MS: Final = 5_000  # younger events are being published by whoever made them


async def sweep(services: Services) -> dict[str, int]:
    """Run one sweep; give how many of each were repaired or removed."""
    store = services.store
    counts = {
        "published": await store.feed.drain_outbox(before_ms=services.clock_ms() - OUTBOX_AGE_MS),
        "polls": 0,
        "deliveries": 0,
        "removed": 0,
    }
    for shard in store.shards:
        await store.poll.sweep_gates(shard)
        await store.dlv.sweep_gates(shard)
        counts["polls"] += await _repair_polls(services, shard)
        counts["deliveries"] += await _repair_deliveries(services, shard)
        counts["removed"] += await end_retention(services, shard)
    if counts["polls"] or counts["deliveries"]:
        log.warning("sweep.repaired", **counts)
    else:
        log.debug("sweep.done", **counts)
    return counts


async def _repair_polls(services: Services, shard: str) -> int:
    """Schedule the jobs that somebody waits for and no queue holds."""
    repaired = 0
    async for keys in scan_jobs(services.store.redis, shard, count=SCAN_COUNT):
        page = await load_jobs(services.store, keys)
        waiting = {key: job for key, job in page.items() if _is_wanted(services, job.record)}
        due = await services.store.poll.due_many(
            shard, [(job.record.account, key) for key, job in waiting.items()]
        )
        for (key, job), at in zip(waiting.items(), due, strict=True):
            if at is None:
                repaired += await _schedule(services, shard, key, job)
    return repaired


def _is_wanted(services: Services, job: Job) -> bool:
    return any(is_live(each) for each in job.callbacks) and not is_done(job, now_ms=services.clock_ms())


async def _schedule(services: Services, shard: str, key: str, job: Loaded[Job]) -> bool:
    draft = Draft(shard, now_ms=services.clock_ms(), retention_s=services.settings.retention)
    draft.put_job(key, job.record, job)
    draft.poll_at(key, job.record, 0, how="absent")
    return await services.store.committer.commit(draft.change()) == "done"


async def _repair_deliveries(services: Services, shard: str) -> int:
    """Schedule the deliveries that are pending and in no lane."""
    repaired = 0
    async for ids in scan_deliveries(services.store.redis, shard, count=SCAN_COUNT):
        page = await load_deliveries(services.store, ids)
        pending = [each for each in page if each.record.state is DeliveryState.PENDING]
        due = await services.store.dlv.due_many(shard, [(d.record.lane, d.record.id) for d in pending])
        for loaded, at in zip(pending, due, strict=True):
            if at is None:
                draft = Draft(shard, now_ms=services.clock_ms(), retention_s=services.settings.retention)
                draft.put_delivery(loaded.record, loaded)
                draft.attempt_at(loaded.record, 0, how="absent")
                repaired += await services.store.committer.commit(draft.change()) == "done"
    return repaired
