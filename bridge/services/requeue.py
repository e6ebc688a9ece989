"""Cancel deliveries and put them back into the queue, as parts of a unit of work."""

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
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
