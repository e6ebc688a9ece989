"""Lists of deliveries, newest first."""

from collections.abc import Sequence
from typing import Final

from bridge.domain.deliveries.attempts import next_attempt_ms
from bridge.domain.deliveries.records import Delivery, DeliveryState, visible_state
from bridge.domain.ids import is_endpoint, read_callback_job, read_shard
from bridge.services.context import Services
from bridge.services.queries import fill_page, load_deliveries, load_dues
from bridge.store.tables.indexes import Cursor

PAGE: Final = 100
QUEUED: Final = (DeliveryState.PENDING, DeliveryState.IN_FLIGHT)


async def list_deliveries(
    services: Services,
    project: str,
    *,
    state: str | None = None,
    subscription: str | None = None,
    event_id: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[list[tuple[Delivery, int | None]], str | None]:
    """List deliveries, newest first, each with the time of its next attempt (see `next_attempts_ms`).

    See `fill_page` for the pages of a filtered list. Those of one callback or event are looked up by their job.
    """
    endpoint = subscription if is_endpoint(subscription or "") else None
    job = None if endpoint else await _find_job(services, project, subscription, event_id)
    by_job = subscription is not None or event_id is not None

    async def read(place: Cursor | None, count: int) -> Sequence[Cursor]:
        if not by_job:
            return await services.store.indexes.deliveries(project, cursor=place, limit=count)
        if endpoint:
            return await services.store.indexes.deliveries_of_endpoint(endpoint, cursor=place, limit=count)
        if job is None:
            return ()
        return await services.store.indexes.deliveries_of_job(job, cursor=place, limit=count)

    async def load(ids: Sequence[str]) -> dict[str, tuple[Delivery, int | None]]:
        records = [each.record for each in await load_deliveries(services.store, ids)]
        records = [
            each
            for each in records
            if each.project == project
            and subscription in (None, each.subscription)
            and event_id in (None, each.event)
            and (state in (None, each.state) or (state in QUEUED and each.state in QUEUED))
        ]
        dues = await next_attempts_ms(services, records)
        return {
            each.id: (each, dues[each.id])
            for each in records
            if state in (None, visible_state(each, dues[each.id]))
        }

    is_filtered = by_job or state is not None
    return await fill_page(read, load, cursor=cursor, limit=limit, is_filtered=is_filtered)


async def next_attempts_ms(services: Services, deliveries: Sequence[Delivery]) -> dict[str, int | None]:
    """Return by id when the next attempt of each is due; negative while one is in flight, None when none comes."""
    now_ms = services.clock_ms()
    dues = await load_dues(
        services.store, [each for each in deliveries if each.state is DeliveryState.PENDING]
    )
    return {each.id: next_attempt_ms(each, dues.get(each.id), now_ms=now_ms) for each in deliveries}


async def _find_job(
    services: Services, project: str, subscription: str | None, event_id: str | None
) -> str | None:
    """Return the key of the job that a callback or an event belongs to, None for one that is not there."""
    if subscription is not None:
        key = read_callback_job(subscription)
        return key if key and key[0] in services.store.shards else None
    shard = read_shard(event_id, "evt_") if event_id is not None else None
    if event_id is None or shard is None or shard not in services.store.shards:
        return None
    event = await services.store.load_event(event_id)
    return event.job if event is not None and event.project == project else None
