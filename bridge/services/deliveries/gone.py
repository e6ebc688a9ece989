"""Handle 410 Gone: the callback whose receiver answered it is cancelled with all its pending deliveries.

`domain/deliveries/retry.py` decides which answers count as 410.
"""

from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.jobs.callbacks import find_callback
from bridge.services.context import Services
from bridge.services.subscriptions.callbacks import stage_cancel
from bridge.store.commit import Lease
from bridge.store.errors import LeaseLost
from bridge.store.unit_of_work import UnitOfWork, retrying

REASON: Final = "the receiver answered 410 Gone"


async def stop_gone(services: Services, attempted: Delivery, token: bytes) -> bool:
    """Stop the subscription of a delivery that was answered with 410, in one step with that attempt.

    `attempted` is the delivery with the attempt recorded in it. Return False, with nothing written, if the attempt's
    lease has ended or was taken from it by a change of the delivery.
    """
    store = services.store
    key = attempted.job

    async def stage() -> tuple[UnitOfWork | None, None]:
        job, found = await store.load_job(key), await store.load_delivery(attempted.id)
        if job is None or found is None:
            return None, None
        unit = services.unit_of_work(key[0])
        unit.require_lease(Lease("dlv", attempted.lane, attempted.id, token))
        ended = replace(attempted, state=DeliveryState.CANCELLED, reason=REASON, done_ms=unit.now_ms)
        unit.put_delivery(ended, found)
        unit.drop_attempt(attempted)
        callback = find_callback(job.record, attempted.subscription)
        if callback is not None:
            await stage_cancel(services, unit, key, job, callback, reason=REASON, but=attempted.id)
        return unit, None

    try:
        await retrying(store.committer, stage)
    except LeaseLost:
        return False
    return True
