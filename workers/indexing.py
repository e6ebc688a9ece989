"""Keep the indexes that pages count by: build what a data directory does not have, and repair what differs."""

from collections.abc import Mapping
from typing import Final

import structlog

from bridge.domain.jobs.records import Job, is_running
from bridge.services.context import Services
from bridge.services.queries import NO_LOG
from bridge.store.records import Loaded, Wanted

log = structlog.get_logger()
SCAN_COUNT: Final = 500


async def build_indexes(services: Services) -> int:
    """List all jobs and deliveries where a version that did not list them has written the store; return how many."""
    store, listed = services.store, 0
    for shard in store.shards:
        async for keys in store.scan.jobs(shard, count=SCAN_COUNT):
            listed += await expect_anew(services, shard, (await store.load_many(Wanted(jobs=keys))).jobs)
        async for ids in store.scan.deliveries(shard, count=SCAN_COUNT):
            page = await store.load_many(Wanted(deliveries=ids))
            listed += await store.troubles.list_anew(shard, [*page.deliveries.values()])
        await store.troubles.note_whole(shard)
    log.info("sweep.indexed", listed=listed)
    return listed


async def expect_anew(services: Services, shard: str, jobs: Mapping[str, Loaded[Job]]) -> int:
    """List jobs by when they are late, where they are not; return how many."""
    logs = (await services.store.load_many(Wanted(logs=[*jobs]))).logs
    late_ms = {
        key: services.durations.late_ms(job.record, logs[key].record if key in logs else NO_LOG)
        for key, job in jobs.items()
        if is_running(job.record) and key in logs
    }
    wanted = {key: (job, late_ms.get(key)) for key, job in jobs.items()}
    return await services.store.upcoming.expect_anew(shard, wanted)
