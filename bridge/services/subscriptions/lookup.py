"""Find subscriptions by a delivery, or by a job's id at its provider.

A callback (`cb_`) lives in its job's record, so it is found among the jobs that were loaded. A kind with a table of its
own is found there by the same function, chosen by the id's prefix.
"""

from bridge.domain.deliveries.records import Delivery
from bridge.domain.ids import job_key
from bridge.domain.jobs.callbacks import callbacks_by_id, find_callback
from bridge.domain.subscriptions.subscription import Subscription
from bridge.providers.registry import KINDS
from bridge.services.queries import load_jobs
from bridge.store.records import RecordBatch
from bridge.store.store import Store


def find_subscription(delivery: Delivery, page: RecordBatch) -> Subscription | None:
    """Return the subscription that a delivery goes to, from records loaded together; None when it is gone.

    For a callback the page must hold the delivery's job.
    """
    job = page.jobs.get(delivery.job)
    return find_callback(job.record, delivery.subscription) if job else None


async def list_job_callbacks(
    store: Store, project: str, kind: str | None, job_id: str, *, fingerprint: bytes | None = None
) -> list[str]:
    """Return the ids of a project's callbacks for one of the upstream's ids, of one kind or of all (None).

    With `fingerprint` only those with that URL.
    """
    kinds = [kind] if kind else [name for name, spec in KINDS.items() if spec.registrable]
    ids: list[str] = []
    for account in await store.accounts.list(project):
        shard = store.shard_of(account.id)
        wanted = [job_key(shard, account.id, each, job_id) for each in kinds if each in KINDS]
        for loaded in (await load_jobs(store, wanted)).values():
            callbacks = callbacks_by_id(loaded.record)
            ids += [each for each in callbacks if fingerprint in (None, callbacks[each].fingerprint)]
    return ids
