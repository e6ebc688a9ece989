"""Deliveries: read them, send one more try, bring parked ones back, by hand."""

from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.attempts import add_extra
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import read_shard
from bridge.errors import Conflict, NotFound
from bridge.services.context import Services
from bridge.services.queries import load_deliveries, load_dues
from bridge.services.requeue import put_again, start_again
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.services.subscriptions.lookup import find_subscription
from bridge.store.records import Loaded, Wanted
from bridge.store.tables.indexes import Cursor
from bridge.store.unit_of_work import UnitOfWork, retrying

PAGE: Final = 100


async def _load(services: Services, project: str, delivery_id: str) -> Loaded[Delivery]:
    shard = read_shard(delivery_id, "dlv_")
    loaded = (
        await services.store.load_delivery(delivery_id) if shard and shard in services.store.shards else None
    )
    if loaded is not None and loaded.record.project == project:
        return loaded
    raise NotFound(f"there is no delivery {delivery_id[:80]} in this project")


async def get_delivery(services: Services, project: str, delivery_id: str) -> Delivery:
    """Return one delivery; NotFound when this project has none such."""
    return (await _load(services, project, delivery_id)).record


async def current_lane(services: Services, delivery: Delivery) -> str:
    """Return the lane of where a delivery goes now: its subscription's URL may have changed since it was sent."""
    page = await services.store.load_many(Wanted(jobs=[delivery.job]))
    subscription = find_subscription(delivery, page)
    if subscription is None:
        return delivery.lane
    return lane_of(services.store.vault, delivery.project, subscription)


async def retry(services: Services, project: str, delivery_id: str) -> Delivery:
    """Make one extra attempt now.

    A waiting delivery keeps its schedule, one in flight tries again after its attempt; a parked one starts again. Asking
    again before that attempt has ended changes nothing.
    """

    async def stage() -> tuple[UnitOfWork, Delivery]:
        loaded = await _load(services, project, delivery_id)
        if loaded.record.state in (DeliveryState.SUCCEEDED, DeliveryState.CANCELLED):
            raise Conflict(
                f"this delivery is {loaded.record.state}: to send a finished event again use "
                f"POST /v1/events/{loaded.record.event}/resend"
            )
        unit = services.unit_of_work(delivery_id[4])
        due_ms = (await load_dues(services.store, [loaded.record]))[delivery_id]
        if loaded.record.state is DeliveryState.PARKED:
            lane = await current_lane(services, loaded.record)
            return unit, start_again(unit, loaded, due_ms, lane=lane)
        delivery = add_extra(loaded.record, due_ms, now_ms=unit.now_ms)
        put_again(unit, loaded, due_ms, delivery)
        return unit, delivery

    conflict = Conflict("this delivery is being changed by others: repeat the request")
    return await retrying(services.store.committer, stage, conflict=conflict)


async def recover(
    services: Services, project: str, *, since_ms: int, until_ms: int | None = None, state: str | None = None
) -> int:
    """Bring back every parked delivery (or those of `state`) made since a time, each exactly once.

    What had succeeded or was cancelled goes out marked `webhook-resend: true`.
    """
    wanted = DeliveryState(state or DeliveryState.PARKED)
    recovered = 0
    place: Cursor | None = None
    while True:
        page = await services.store.indexes.deliveries(project, cursor=place, limit=PAGE)
        place = page[-1] if len(page) == PAGE else None
        for loaded in await load_deliveries(services.store, [at.id for at in page]):
            made = loaded.record.created_ms
            fits = since_ms <= made and (until_ms is None or made <= until_ms)
            if fits and loaded.record.state is wanted and await _recover(services, loaded):
                recovered += 1
        if place is None or place.at_ms < since_ms:
            return recovered


async def _recover(services: Services, seen: Loaded[Delivery]) -> bool:
    """Send one delivery again; False if its state changed meanwhile."""
    wanted = seen.record.state
    again = wanted is not DeliveryState.PARKED  # it was over: this is asked for by a person, as a resend is

    async def stage() -> tuple[UnitOfWork | None, bool]:
        loaded = await services.store.load_delivery(seen.record.id)
        if loaded is None or loaded.record.state is not wanted:
            return None, False
        unit = services.unit_of_work(seen.record.id[4])
        due_ms = (await load_dues(services.store, [loaded.record]))[seen.record.id]
        marked = Loaded(replace(loaded.record, resend=again or loaded.record.resend), loaded.raw)
        start_again(unit, marked, due_ms, lane=await current_lane(services, loaded.record))
        return unit, True

    return await retrying(services.store.committer, stage)
