"""Record results whose lease had ended: a change left the attempt behind, or its worker was too slow."""

import structlog
from msgspec.structs import replace

from bridge.domain.deliveries.attempts import add_late, leave_attempt
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.services.context import Services
from bridge.store.queue.lanes import Settled, lease_end_ms
from bridge.store.records import unpack
from bridge.store.unit_of_work import UnitOfWork, retrying

log = structlog.get_logger()


async def finish_late(services: Services, settled: Settled) -> None:
    """Add a late result to its delivery's attempts; what waits for its end is due now.

    Without a record no attempt was made. A 2xx ends the delivery. Only a failure is left out, with a line in the log,
    while another worker has begun the next attempt: writing it would cost that one its lease.
    """
    late = unpack(Delivery, settled.records[0][1]) if settled.records else None

    async def stage() -> tuple[UnitOfWork | None, None]:
        found = await services.store.load_delivery(settled.member)
        if found is None:
            return None, None
        unit = services.unit_of_work(settled.member[4])
        before = found.record
        after = add_late(before, late, now_ms=unit.now_ms) if late and late.attempts else before
        was_awaited = before.busy_ms == lease_end_ms(settled.token)
        if after == before and not was_awaited:
            return None, None
        due_ms = await services.store.dlv.due_of(settled.member[4], before.lane, before.id)
        ends = after.state is DeliveryState.SUCCEEDED
        if due_ms is not None and due_ms < 0 and not ends:
            log.warning("delivery.late_not_recorded", delivery=before.id)
            return None, None
        after = leave_attempt(replace(after, busy_ms=0) if was_awaited else after, due_ms)
        unit.require_held(before, due_ms)
        unit.put_delivery(after, found)
        if ends:
            unit.drop_attempt(before)
        elif was_awaited and after.state is DeliveryState.PENDING:
            unit.attempt_at(after, 0, how="first")
        return unit, None

    await retrying(services.store.committer, stage)
