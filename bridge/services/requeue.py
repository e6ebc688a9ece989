"""Cancel deliveries and put them back into the queue, as parts of a unit of work.

Each change says whether an attempt was in flight when it was decided (`due_ms`, see `Lanes.due_of`) and is refused when
that has changed. One in flight is left behind: its worker loses the lease, and the result is added when it comes.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.deliveries.attempts import leave_attempt, move_to
from bridge.domain.deliveries.lanes import is_origin_wide
from bridge.domain.deliveries.records import OPEN, Delivery, DeliveryState
from bridge.services.context import Services
from bridge.store.commit import Lease
from bridge.store.records import Loaded
from bridge.store.unit_of_work import How, UnitOfWork


def cancel_delivery(unit: UnitOfWork, loaded: Loaded[Delivery], due_ms: int | None, reason: str) -> None:
    """Cancel a delivery, so that nothing more is sent; `reason` is shown to users."""
    unit.require_held(loaded.record, due_ms)
    delivery = leave_attempt(loaded.record, due_ms)
    unit.put_delivery(
        replace(delivery, state=DeliveryState.CANCELLED, reason=reason, done_ms=unit.now_ms), loaded
    )
    unit.drop_attempt(loaded.record)


def start_again(
    unit: UnitOfWork,
    loaded: Loaded[Delivery],
    due_ms: int | None,
    *,
    lane: str,
    delay_ms: int = 0,
    how: How = "sooner",
) -> Delivery:
    """Restart a delivery's retry schedule in the given lane, and return the new record.

    It is due after `delay_ms`, or when the attempt in flight has ended; with `how` "first" before all that waits there.
    """
    delivery = replace(
        move_to(leave_attempt(loaded.record, due_ms), lane),
        state=DeliveryState.PENDING,
        step=0,
        refusals=0,
        reason="",
        done_ms=0,
        resume_ms=0,
        restarted_ms=unit.now_ms,
    )
    put_again(unit, loaded, due_ms, delivery, delay_ms=delay_ms, how=how)
    return delivery


def put_again(
    unit: UnitOfWork,
    loaded: Loaded[Delivery],
    due_ms: int | None,
    delivery: Delivery,
    *,
    delay_ms: int = 0,
    how: How = "sooner",
) -> None:
    """Write a changed delivery, due after `delay_ms` or when the attempt that was left behind has ended."""
    unit.require_held(loaded.record, due_ms)
    unit.put_delivery(delivery, loaded)
    if delivery.lane != loaded.record.lane or delivery.busy_ms != loaded.record.busy_ms:
        unit.drop_attempt(loaded.record)
    unit.attempt_at(delivery, max(delay_ms, delivery.busy_ms - unit.now_ms), how=how)


def move_delivery(unit: UnitOfWork, loaded: Loaded[Delivery], due_ms: int | None, lane: str) -> None:
    """Restart a pending or parked delivery first in another lane; do nothing for one that has ended."""
    if loaded.record.state in OPEN:
        start_again(unit, loaded, due_ms, lane=lane, how="first")


async def move_to_url_lanes(
    services: Services, shard: str, token: bytes, moves: Sequence[tuple[Loaded[Delivery], str]]
) -> list[Delivery]:
    """Move leased deliveries out of a lane that is not theirs, each to its own.

    That is a lane of version 0.1, which all URLs of an origin shared, or that of a URL that their endpoint had before.
    Return those that somebody changed meanwhile; they are still where they were.
    """
    changes = []
    for loaded, lane in moves:
        unit = services.unit_of_work(shard)
        unit.require_lease(Lease("dlv", loaded.record.lane, loaded.record.id, token))
        before = loaded.record
        moved = replace(before, lane=lane) if is_origin_wide(before.lane) else move_to(before, lane)
        unit.put_delivery(moved, loaded)
        unit.drop_attempt(loaded.record)
        unit.attempt_at(moved, 0, how="absent")
        changes.append(unit.change())
    results = await services.store.committer.commit_many(changes)
    return [loaded.record for (loaded, _), how in zip(moves, results, strict=True) if how != "done"]
