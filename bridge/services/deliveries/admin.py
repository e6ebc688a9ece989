"""Deliveries: read them, send one more try, bring parked ones back, by hand."""

from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.lanes import lane_of, origin_of
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.ids import read_shard
from bridge.errors import Conflict, NotFound
from bridge.services.context import Services
from bridge.services.queries import load_deliveries
from bridge.services.requeue import start_again
from bridge.store.records import Loaded
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
    """Give one delivery; NotFound when this project has none such."""
    return (await _load(services, project, delivery_id)).record


async def next_attempt_ms(services: Services, delivery: Delivery) -> int | None:
    """Give when the next attempt is due; negative while one is in flight, None when none comes."""
    return await services.store.dlv.due_of(delivery.id[4], delivery.lane, delivery.id)


async def view_state(services: Services, delivery: Delivery) -> DeliveryState:
    """Give a delivery's state as clients see it: `in_flight` while an attempt holds it."""
    if delivery.state is not DeliveryState.PENDING:
        return delivery.state
    due = await next_attempt_ms(services, delivery)
    return DeliveryState.IN_FLIGHT if due is not None and due < 0 else DeliveryState.PENDING


async def current_lane(services: Services, delivery: Delivery) -> str:
    """Give the lane to where a delivery goes now; its origin may have answered 2xx since."""
    origin = origin_of(delivery.lane)
    proven = await services.store.destinations.proven(delivery.id[4], {origin})
    return lane_of(delivery.project, origin, proven=origin in proven)


async def retry(services: Services, project: str, delivery_id: str) -> Delivery:
    """Make one extra attempt now.

    A waiting delivery keeps its schedule, one in flight tries again after its attempt; a parked one starts again.
    """

    async def stage() -> tuple[UnitOfWork, Delivery]:
        loaded = await _load(services, project, delivery_id)
        if loaded.record.state in (DeliveryState.SUCCEEDED, DeliveryState.CANCELLED):
            raise Conflict(
                f"this delivery is {loaded.record.state}: to send a finished event again use "
                f"POST /v1/events/{loaded.record.event}/resend"
            )
        unit = services.unit_of_work(delivery_id[4])
        if loaded.record.state is DeliveryState.PARKED:
            delivery = start_again(unit, loaded, lane=await current_lane(services, loaded.record))
        else:
            due_ms = await next_attempt_ms(services, loaded.record)
            waits = due_ms is not None and due_ms > unit.now_ms
            delivery = replace(loaded.record, resume_ms=due_ms) if waits else loaded.record
            unit.put_delivery(delivery, loaded)
            unit.attempt_at(delivery, 0, how="sooner")
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


async def _recover(services: Services, loaded: Loaded[Delivery]) -> bool:
    record = loaded.record
    unit = services.unit_of_work(record.id[4])
    if record.state is not DeliveryState.PARKED:  # it was over: this is asked for by a person, as a resend is
        loaded = Loaded(replace(record, resend=True), loaded.raw)
    start_again(unit, loaded, lane=await current_lane(services, loaded.record))
    return await services.store.committer.commit(unit.change()) == "done"
