"""Make settlements of polls: the job's next due time, and the records that the poll has changed."""

from bridge.domain.jobs.records import PollLog
from bridge.store import keys
from bridge.store.queue.lanes import Settled
from bridge.store.records import pack


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
