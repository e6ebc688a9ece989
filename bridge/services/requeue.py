"""Cancel deliveries and put them back into the queue, as parts of a unit of work."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.services.context import Services
from bridge.store.commit import Lease
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork


def cancel_delivery(unit: UnitOfWork, loaded: Loaded[Delivery], reason: str) -> None:
    """Cancel a delivery, so that nothing more is sent; `reason` is shown to users."""
    delivery = replace(loaded.record, state=DeliveryState.CANCELLED, reason=reason, done_ms=unit.now_ms)
    unit.put_delivery(delivery, loaded)
    unit.drop_attempt(delivery)


def start_again(unit: UnitOfWork, loaded: Loaded[Delivery], *, lane: str, delay_ms: int = 0) -> Delivery:
    """Restart a delivery's retry schedule after `delay_ms`, in the given lane, and return the new record."""
    delivery = replace(
        loaded.record,
        state=DeliveryState.PENDING,
        lane=lane,
        step=0,
        refusals=0,
        reason="",
        done_ms=0,
    )
    unit.put_delivery(delivery, loaded)
    if lane != loaded.record.lane:
        unit.drop_attempt(loaded.record)
    unit.attempt_at(delivery, delay_ms, how="sooner")
    return delivery


def move_delivery(unit: UnitOfWork, loaded: Loaded[Delivery], lane: str) -> None:
    """Restart a pending or parked delivery in another lane, due now; do nothing for one that has ended."""
    if loaded.record.state in (DeliveryState.PENDING, DeliveryState.PARKED):
        start_again(unit, loaded, lane=lane)


async def move_to_url_lanes(
    services: Services, shard: str, token: bytes, moves: Sequence[tuple[Loaded[Delivery], str]]
) -> list[Delivery]:
    """Move leased deliveries out of the lanes of version 0.1, which all URLs of an origin shared, each to its own lane.

    Return those that somebody changed meanwhile; they are still where they were.
    """
    changes = []
    for loaded, lane in moves:
        unit = services.unit_of_work(shard)
        unit.require_lease(Lease("dlv", loaded.record.lane, loaded.record.id, token))
        moved = replace(loaded.record, lane=lane)
        unit.put_delivery(moved, loaded)
        unit.drop_attempt(loaded.record)
        unit.attempt_at(moved, 0, how="absent")
        changes.append(unit.change())
    results = await services.store.committer.commit_many(changes)
    return [loaded.record for (loaded, _), how in zip(moves, results, strict=True) if how != "done"]
