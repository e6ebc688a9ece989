"""One delivery by its id: read it, send one more try."""

from bridge.domain.deliveries.attempts import add_extra
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import read_shard
from bridge.errors import Conflict, NotFound
from bridge.services.context import Services
from bridge.services.deliveries.destinations import find_destinations
from bridge.services.queries import load_dues
from bridge.services.requeue import put_again, start_again
from bridge.store.records import Loaded
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


async def retry(services: Services, project: str, delivery_id: str) -> Delivery:
    """Make one extra attempt now, also where the URL's breaker is open.

    A waiting delivery keeps its schedule, one in flight tries again after its attempt; a parked one starts again. Asking
    again before that attempt has ended changes nothing.

    Raise Conflict where nothing would be sent: the delivery is over, or its endpoint is disabled or gone.
    """

    async def stage() -> tuple[UnitOfWork, Delivery]:
        loaded = await _load(services, project, delivery_id)
        if loaded.record.state in (DeliveryState.SUCCEEDED, DeliveryState.CANCELLED):
            raise Conflict(
                f"this delivery is {loaded.record.state}: to send a finished event again use "
                f"POST /v1/events/{loaded.record.event}/resend"
            )
        destination = (await find_destinations(services, [loaded.record]))[delivery_id]
        if destination.refusal:
            raise Conflict(f"this delivery cannot be sent, {destination.refusal}")
        unit = services.unit_of_work(delivery_id[4])
        due_ms = (await load_dues(services.store, [loaded.record]))[delivery_id]
        if loaded.record.state is DeliveryState.PARKED:
            return unit, start_again(unit, loaded, due_ms, lane=destination.lane, how="first")
        delivery = add_extra(loaded.record, due_ms, now_ms=unit.now_ms)
        put_again(unit, loaded, due_ms, delivery, how="first")
        return unit, delivery

    conflict = Conflict("this delivery is being changed by others: repeat the request")
    return await retrying(services.store.committer, stage, conflict=conflict)
