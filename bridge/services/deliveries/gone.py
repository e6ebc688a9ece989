"""Handle 410 Gone: the callback whose receiver answered it is cancelled with all its pending deliveries.

`domain/deliveries/retry.py` decides which answers count as 410.
"""

from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.jobs.callbacks import find_callback
from bridge.services.context import Services
from bridge.services.subscriptions.callbacks import stage_cancel
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork, retrying

REASON: Final = "the receiver answered 410 Gone"


async def stop_gone(services: Services, loaded: Loaded[Delivery], attempted: Delivery) -> None:
    """Stop the subscription of a delivery that was answered with 410, in one step with that attempt.

    `attempted` is the delivery with the attempt recorded in it. The attempt stays readable.
    """
    store = services.store
    key = attempted.job

    async def stage() -> tuple[UnitOfWork | None, None]:
        job = await store.load_job(key)
        if job is None:
            return None, None
        unit = services.unit_of_work(key[0])
        callback = find_callback(job.record, attempted.subscription)
        if callback is not None:
            await stage_cancel(services, unit, key, job, callback, reason=REASON, attempted=attempted)
        else:
            unit.put_delivery(replace(attempted, state=DeliveryState.CANCELLED), loaded)
            unit.drop_attempt(attempted)
        return unit, None

    await retrying(store.committer, stage)
