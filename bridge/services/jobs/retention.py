"""Retention: remove ended jobs with their callbacks, events and deliveries, once none of these is still in use."""

from collections.abc import Sequence
from typing import Final

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.records import Job
from bridge.services.context import Services
from bridge.services.queries import load_deliveries
from bridge.store.records import Loaded, UnreadableRecord

PAGE: Final = 200
MOST_AT_ONCE: Final = 500  # deliveries that one step removes
RECHECK_MS: Final = 3_600_000
PARKED_MS: Final = 30 * 86_400_000  # parked deliveries stay readable for so long


async def end_retention(services: Services, shard: str) -> int:
    """Remove the jobs of a shard whose retention has ended; return how many, at most PAGE at once."""
    removed = 0
    now_ms = services.clock_ms()
    for key in await services.store.indexes.over(shard, now_ms, limit=PAGE):
        removed += await _remove(services, shard, key, now_ms)
    return removed


async def _remove(services: Services, shard: str, key: str, now_ms: int) -> bool:
    store = services.store
    try:
        job = await store.load_job(key)
    except UnreadableRecord:
        unit = services.unit_of_work(shard)
        unit.put_off_ended(key, until_ms=now_ms + RECHECK_MS)
        await store.committer.commit(unit.change())
        return False
    if job is None:
        await store.indexes.forget_ended(shard, key)
        return False
    ids = await store.indexes.job_deliveries(key)
    deliveries = await load_deliveries(store, ids)
    unit = services.unit_of_work(shard)
    wait_ms = _keep_for_ms(job.record, [each.record for each in deliveries], now_ms)
    if wait_ms:
        unit.keep_ended(key, job, until_ms=now_ms + wait_ms)
        await store.committer.commit(unit.change())
        return False
    if len(deliveries) > MOST_AT_ONCE:
        return await _remove_some(services, key, job, deliveries[:MOST_AT_ONCE])
    events = await store.indexes.job_events(key)
    unread = set(ids) - {each.record.id for each in deliveries}
    unit.remove_job(key, job, deliveries=deliveries, unread=sorted(unread), events=events)
    if await store.committer.commit(unit.change()) != "done":
        return False
    await store.feed.forget(job.record.project, events)
    return True


async def _remove_some(
    services: Services, key: str, job: Loaded[Job], deliveries: Sequence[Loaded[Delivery]]
) -> bool:
    """Remove some of a job's deliveries, oldest first, so that no script takes long; the job goes with the last ones."""
    unit = services.unit_of_work(key[0])
    unit.remove_deliveries(key, job, deliveries)
    await services.store.committer.commit(unit.change())
    return False


def _keep_for_ms(job: Job, deliveries: list[Delivery], now_ms: int) -> int:
    """Return how much longer a job must stay for a live callback, a pending delivery, or one parked recently."""
    if list_live_callbacks(job):
        return RECHECK_MS
    if any(each.state is DeliveryState.PENDING for each in deliveries):
        return RECHECK_MS
    parked = [each.done_ms for each in deliveries if each.state is DeliveryState.PARKED]
    return max([0, *(at_ms + PARKED_MS - now_ms for at_ms in parked)])
