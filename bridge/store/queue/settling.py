"""Make settlements of polls and attempts: the next due time, and the records that were changed."""

from bridge.domain.deliveries.records import Delivery
from bridge.domain.jobs.records import PollLog
from bridge.store import keys
from bridge.store.queue.lanes import Settled
from bridge.store.records import pack
from bridge.store.trouble.trouble_marks import mark_delivery


def settle_poll(
    key: str,
    account: str,
    token: bytes,
    *,
    log: PollLog,
    delay_ms: int | None,
    packed_object: bytes | None = None,
) -> Settled:
    """Return the end of a poll that changed the job's poll log and, if given, its observed object.

    The job is due again in `delay_ms`, None: it leaves the queue.
    """
    records = ((keys.poll_log(key), pack(log)),)
    if packed_object is None:
        return Settled(account, key, token, delay_ms, records)
    return Settled(account, key, token, delay_ms, (*records, (keys.observed(key), packed_object)))


def settle_attempt(
    delivery: Delivery, before: Delivery, token: bytes, delay_ms: int | None, *, outcome: str = ""
) -> Settled:
    """Return the end of an attempt that changed a delivery, which is listed anew if its trouble has changed.

    It is due again in `delay_ms`, None: it leaves the queue. `outcome` is that of `Settled`.
    """
    return Settled(
        lane=delivery.lane,
        member=delivery.id,
        token=token,
        delay_ms=delay_ms,
        records=((keys.delivery(delivery.id), pack(delivery)),),
        outcome=outcome,
        mark=mark_delivery(delivery, before),
    )
