"""Find subscriptions by a delivery, or by a job's id at its provider.

A callback (`cb_`) lives in its job's record, so it is found among the jobs that were loaded. An endpoint (`ep_`) lives in
the table of its project.
"""

from collections.abc import Iterable, Mapping, Sequence

from bridge.domain.deliveries.records import Delivery
from bridge.domain.ids import is_endpoint, job_key
from bridge.domain.jobs.callbacks import callbacks_by_id, find_callback
from bridge.domain.jobs.watches import GROUPS
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.domain.subscriptions.subscription import Subscription
from bridge.providers.registry import KINDS
from bridge.services.queries import load_jobs
from bridge.store.records import RecordBatch
from bridge.store.store import Store

Tables = Mapping[str, EndpointTable]


async def load_tables(store: Store, page: RecordBatch) -> Tables:
    """Return the endpoints of those projects whose epochs were loaded with a page, as they were then or later."""
    return await store.endpoints.current(page.epochs)


def find_subscription(delivery: Delivery, page: RecordBatch, tables: Tables) -> Subscription | None:
    """Return the subscription that a delivery goes to, from records loaded together; None when it is gone.

    For a callback the page must hold the delivery's job, for an endpoint `tables` its project.
    """
    if is_endpoint(delivery.subscription):
        return tables[delivery.project].by_id.get(delivery.subscription)
    job = page.jobs.get(delivery.job)
    return find_callback(job.record, delivery.subscription) if job else None


def list_companions(
    delivery: Delivery, subscription: Subscription, page: RecordBatch, tables: Tables
) -> Sequence[Subscription]:
    """Return the subscriptions of the other sort with the same URL, which get the same event.

    A receiver that knows the secret of one of them accepts the requests of both, and drops the second as a repeat.
    """
    if not is_endpoint(subscription.id):
        same = tables[delivery.project].on_url(subscription.fingerprint)
        return [each for each in same if each.enabled] if same else ()
    job = page.jobs.get(delivery.job)
    callbacks: Iterable[Subscription] = callbacks_by_id(job.record).values() if job else ()
    return [
        each for each in callbacks if each.fingerprint == subscription.fingerprint and not each.is_stopped
    ]


async def list_job_callbacks(
    store: Store, project: str, kind: str | None, job_id: str, *, fingerprint: bytes | None = None
) -> list[str]:
    """Return the ids of a project's callbacks for one of the upstream's ids, of one kind or of all (None).

    With `fingerprint` only those with that URL.
    """
    kinds = [kind] if kind else [*(name for name, spec in KINDS.items() if spec.registrable), *GROUPS]
    ids: list[str] = []
    for account in await store.accounts.list(project):
        shard = store.shard_of(account.id)
        wanted = [
            job_key(shard, account.id, each, job_id) for each in kinds if each in KINDS or each in GROUPS
        ]
        for loaded in (await load_jobs(store, wanted)).values():
            callbacks = callbacks_by_id(loaded.record)
            ids += [
                each.id
                for each in callbacks.values()
                if not each.group and fingerprint in (None, each.fingerprint)
            ]
    return ids
