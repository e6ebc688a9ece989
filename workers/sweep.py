"""Two periodic checks: `tidy` finishes what a killed process left undone, `prove` repairs items missing in the queues.

`prove` normally finds nothing to repair. It reads all records, so that it is run seldom.
"""

from typing import Final

import structlog

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.jobs.next_poll import is_done
from bridge.domain.jobs.records import Job
from bridge.services.context import Services
from bridge.services.jobs.retention import end_retention
from bridge.services.key_rotation import reseal_job, reseal_tables
from bridge.store.records import Loaded, Wanted
from bridge.store.tables.key_usage import KeyCounter
from workers.indexing import build_indexes, expect_anew

log = structlog.get_logger()

SCAN_COUNT: Final = 500


async def tidy(services: Services) -> dict[str, int]:
    """Publish events that are missing in the feed after a crash, end retention, remove old gates; return counts.

    The first time after an upgrade the indexes are built that the version before did not have.
    """
    store = services.store
    if not await store.troubles.is_whole():
        await build_indexes(services)
    published = await store.outbox.drain(now_ms=services.clock_ms())
    removed = 0
    for shard in store.shards:
        await store.poll.sweep_gates(shard)
        await store.dlv.sweep_gates(shard)
        await store.dlv.forget_marks(shard)
        removed += await end_retention(services, shard)
    counts = {"published": published, "removed": removed}
    log.debug("sweep.tidied", **counts)
    return counts


async def prove(services: Services) -> dict[str, int]:
    """Schedule jobs and deliveries that are missing in their queue or index, reseal what an old key sealed; return counts.

    Changes of endpoints that a killed process left unfinished are finished too.
    """
    counts = {"polls": 0, "deliveries": 0, "listed": 0, "resealed": 0}
    counter = KeyCounter()
    projects = [project.id for project in await services.store.projects.list()]
    counts["endpoints"] = await services.store.endpoints.level_all(projects)
    await services.store.tasks.mark(projects)
    for shard in services.store.shards:
        held = dict.fromkeys(projects, 0)
        async for keys in services.store.scan.jobs(shard, count=SCAN_COUNT):
            page = await services.store.load_many(Wanted(jobs=keys))
            counter.note_unreadable("jobs", len(page.unreadable))
            for each in page.jobs.values():
                held[each.record.project] = held.get(each.record.project, 0) + len(each.raw)
            counts["polls"] += await _repair_polls(services, shard, page.jobs)
            counts["listed"] += await expect_anew(services, shard, page.jobs)
            counts["resealed"] += sum(
                [await reseal_job(services, *job, counter) for job in page.jobs.items()]
            )
        await services.store.job_bytes.correct(shard, held)
        await services.store.starts.forget_expired(shard, projects, now_ms=services.clock_ms())
        async for ids in services.store.scan.deliveries(shard, count=SCAN_COUNT):
            page = await services.store.load_many(Wanted(deliveries=ids))
            counter.note_unreadable("deliveries", len(page.unreadable))
            counts["deliveries"] += await _repair_deliveries(services, shard, [*page.deliveries.values()])
            counts["listed"] += await services.store.troubles.list_anew(shard, [*page.deliveries.values()])
    await reseal_tables(services, counter)
    for what in ("polls", "deliveries", "listed"):
        services.store.tallies.note_repairs(what, counts[what])
    repaired = counts["polls"] or counts["deliveries"]
    (log.warning if repaired else log.debug)("sweep.proved", **counts)
    return counts


async def _repair_polls(services: Services, shard: str, page: dict[str, Loaded[Job]]) -> int:
    """Schedule the jobs that must be polled and are in no queue; return how many."""
    waiting = {key: job for key, job in page.items() if _is_wanted(services, job.record)}
    places = [(job.record.account, key) for key, job in waiting.items()]
    due = await services.store.poll.due_many(shard, places)
    lost = [each for each, at in zip(waiting.items(), due, strict=True) if at is None]
    return sum([await _schedule(services, shard, key, job) for key, job in lost])


def _is_wanted(services: Services, job: Job) -> bool:
    return not is_done(job, now_ms=services.clock_ms())


async def _schedule(services: Services, shard: str, key: str, job: Loaded[Job]) -> bool:
    unit = services.unit_of_work(shard)
    unit.put_job(key, job.record, job)
    unit.poll_at(key, job.record, 0, how="absent")
    return await services.store.committer.commit(unit.change()) == "done"


async def _repair_deliveries(services: Services, shard: str, page: list[Loaded[Delivery]]) -> int:
    """Schedule the deliveries that are pending and in no lane; return how many."""
    pending = [each for each in page if each.record.state is DeliveryState.PENDING]
    due = await services.store.dlv.due_many(shard, [(d.record.lane, d.record.id) for d in pending])
    lost = [each for each, at in zip(pending, due, strict=True) if at is None]
    return sum([await _send_again(services, shard, each) for each in lost])


async def _send_again(services: Services, shard: str, loaded: Loaded[Delivery]) -> bool:
    unit = services.unit_of_work(shard)
    unit.put_delivery(loaded.record, loaded)
    unit.attempt_at(loaded.record, max(0, loaded.record.busy_ms - unit.now_ms), how="absent")
    return await services.store.committer.commit(unit.change()) == "done"
