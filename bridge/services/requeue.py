"""Writes on deliveries that several use cases share."""

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork


def cancel_delivery(unit: UnitOfWork, loaded: Loaded[Delivery], reason: str) -> None:
    """Cancel a delivery: nothing more is sent, the reason stays readable."""
    delivery = replace(loaded.record, state=DeliveryState.CANCELLED, reason=reason, done_ms=unit.now_ms)
    unit.put_delivery(delivery, loaded)
    unit.drop_attempt(delivery)


def start_again(unit: UnitOfWork, loaded: Loaded[Delivery], *, lane: str, delay_ms: int = 0) -> Delivery:
    """Send a delivery again with a whole new schedule, in the lane of where it goes now."""
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
    """Take a waiting or parked delivery to another lane, due now; what has ended stays where it is."""
    if loaded.record.state in (DeliveryState.PENDING, DeliveryState.PARKED):
        start_again(unit, loaded, lane=lane)
