"""One delivery by its id: read it, send one more try."""

from collections.abc import Sequence

from bridge.domain.deliveries.attempts import add_extra
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import read_shard
from bridge.errors import Conflict, NotFound
from bridge.services.context import Services
from bridge.services.queries import load_dues
from bridge.services.requeue import put_again, start_again
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.services.subscriptions.lookup import find_subscription, load_tables
from bridge.store.records import Loaded, Wanted
from bridge.store.unit_of_work import UnitOfWork, retrying


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


async def current_lanes(services: Services, deliveries: Sequence[Delivery]) -> dict[str, str]:
    """Return by id the lane of where each delivery goes now: a subscription's URL may have changed since it was sent."""
    wanted = Wanted(
        jobs=sorted({each.job for each in deliveries}), epochs=sorted({each.project for each in deliveries})
    )
    page = await services.store.load_many(wanted)
    tables = await load_tables(services.store, page)
    lanes: dict[str, str] = {}
    for each in deliveries:
        subscription = find_subscription(each, page, tables)
        if subscription is None:
            lanes[each.id] = each.lane
        else:
            lanes[each.id] = lane_of(services.store.vault, each.project, subscription)
    return lanes


async def retry(services: Services, project: str, delivery_id: str) -> Delivery:
    """Make one extra attempt now, also where the URL's breaker is open.

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
            lanes = await current_lanes(services, [loaded.record])
            return unit, start_again(unit, loaded, due_ms, lane=lanes[delivery_id], how="first")
        delivery = add_extra(loaded.record, due_ms, now_ms=unit.now_ms)
        put_again(unit, loaded, due_ms, delivery, how="first")
        return unit, delivery

    conflict = Conflict("this delivery is being changed by others: repeat the request")
    return await retrying(services.store.committer, stage, conflict=conflict)
