"""Make settlements of polls and attempts: the item's next due time, and the records that the work has changed."""

from bridge.domain.deliveries.records import Delivery
from bridge.domain.jobs.records import PollLog
from bridge.store import keys
from bridge.store.queue.lanes import Settled
from bridge.store.records import pack, unpack


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


def settle_attempt(delivery: Delivery, token: bytes, *, delay_ms: int | None) -> Settled:
    """Return the end of a delivery attempt: the next one is due in `delay_ms`, None: there is none."""
    records = ((keys.delivery(delivery.id), pack(delivery)),)
    return Settled(delivery.lane, delivery.id, token, delay_ms, records)


def read_settled_delivery(settled: Settled) -> Delivery | None:
    """Return the delivery that `settle_attempt` was given; None when the item was given back without an attempt."""
    return unpack(Delivery, settled.records[0][1]) if settled.records else None
