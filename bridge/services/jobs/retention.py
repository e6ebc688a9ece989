"""Retention: remove ended jobs with their callbacks, events and deliveries, once none of these is still in use.

What belongs to a job is removed in steps, the job last, since a post may have tens of thousands of deliveries, and a script
that removed them all would keep every other command waiting. A crash between two steps is made good by the next turn.
"""

from collections.abc import Sequence
from itertools import count
from typing import Final

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.watches import CHAIN
from bridge.services.context import Services
from bridge.services.queries import load_deliveries, load_events
from bridge.store.chains.chains import forget_chain
from bridge.store.records import Loaded, UnreadableRecord

PAGE: Final = 200
STEP: Final = 500  # deliveries, and events, that one commit removes
RECHECK_MS: Final = 3_600_000
PARKED_MS: Final = 30 * 86_400_000  # parked deliveries stay readable for so long


async def end_retention(services: Services, shard: str) -> int:
    """Remove the jobs of a shard whose retention has ended; return how many, at most PAGE at once."""
    removed = 0
    now_ms = services.clock_ms()
    for key in await services.store.indexes.over(shard, now_ms, limit=PAGE):
        removed += await _end(services, shard, key, now_ms)
    return removed


async def _end(services: Services, shard: str, key: str, now_ms: int) -> bool:
    """Remove a job, or look at it again later; return whether it was removed."""
    store = services.store
    try:
        job = await store.load_job(key)
    except UnreadableRecord:
        unit = services.unit_of_work(shard)
        unit.keep_ended(key, None, until_ms=now_ms + RECHECK_MS)
        await store.committer.commit(unit.change())
        return False
    if job is None:
        await store.indexes.forget_ended(shard, key)
        return False
    wait_ms = await _keep_for_ms(services, key, job.record, now_ms)
    if wait_ms:
        unit = services.unit_of_work(shard)
        unit.keep_ended(key, job, until_ms=now_ms + wait_ms)
        await store.committer.commit(unit.change())
        return False
    return await _remove(services, shard, key, job)


async def _remove(services: Services, shard: str, key: str, job: Loaded[Job]) -> bool:
    """Remove deliveries, then events, then the job; return False if somebody has changed one of them meanwhile."""
    store = services.store
    is_last = False
    while not is_last:
        ids = await store.indexes.job_deliveries(key, limit=STEP)
        events = await store.indexes.job_events(key, limit=STEP) if len(ids) < STEP else []
        is_last = len(ids) < STEP and len(events) < STEP
        deliveries = await load_deliveries(store, ids)
        unread = set(ids) - {each.record.id for each in deliveries}
        linked = await _list_linked(services, key, job.record, events)
        events = [each for each in events if each not in linked]
        unit = services.unit_of_work(shard)
        unit.remove_parts(
            key, job, deliveries=deliveries, unread=sorted(unread), events=events, linked=linked
        )
        if is_last:
            unit.remove_job(key, job)
            unit.add(forget_chain(key, job.record) if job.record.kind == CHAIN else ())
        if await store.committer.commit(unit.change()) != "done":
            return False
        await store.feed.forget(job.record.project, events)
    return True


async def _list_linked(services: Services, key: str, job: Job, events: Sequence[str]) -> list[str]:
    """Return those events in a group's list that are its members' and go with these."""
    if not job.members:
        return []
    return [each.id for each in await load_events(services.store, events) if each.job != key]


async def _keep_for_ms(services: Services, key: str, job: Job, now_ms: int) -> int:
    """Return how much longer a job must stay for a live callback, a pending delivery, or one parked recently."""
    if list_live_callbacks(job):
        return RECHECK_MS
    longest_ms = 0
    for start in count(0, STEP):
        ids = await services.store.indexes.job_deliveries(key, start=start, limit=STEP)
        found = [each.record for each in await load_deliveries(services.store, ids)]
        longest_ms = max(longest_ms, _wait_for_ms(found, now_ms))
        if len(ids) < STEP:
            break
    return longest_ms


def _wait_for_ms(deliveries: Sequence[Delivery], now_ms: int) -> int:
    if any(each.state is DeliveryState.PENDING for each in deliveries):
        return RECHECK_MS
    parked = [each.done_ms for each in deliveries if each.state is DeliveryState.PARKED]
    return max([0, *(at_ms + PARKED_MS - now_ms for at_ms in parked)])
