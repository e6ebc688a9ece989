"""Search: exact matches of an id or a callback URL. Nothing is looked through."""

from collections.abc import Sequence
from typing import Any, Final

from bridge.dashboard.page import DashboardPage, View, Visit
from bridge.domain.ids import is_endpoint, job_key, read_callback_job, read_shard
from bridge.domain.jobs.records import Job
from bridge.errors import BridgeError, NotFound
from bridge.providers.registry import KINDS
from bridge.services import events
from bridge.services.accounts.manage import get_account
from bridge.services.deliveries.admin import get_delivery
from bridge.services.queries import load_jobs
from bridge.services.subscriptions import callback_lists, callbacks, endpoints

MOST_CHARS: Final = 4_096
Hit = dict[str, str]


async def read_search(visit: Visit) -> View:
    """Read what has exactly this id or URL."""
    text = visit.query.get("q", "").strip()[:MOST_CHARS]
    hits = await find(visit, text) if text else []
    return View(title="Find", template="search.html", values={"text": text, "hits": hits})


async def find(visit: Visit, text: str) -> list[Hit]:
    """Return what a project has under an id or a callback URL."""
    services, project = visit.services, visit.project
    try:
        if read_shard(text, "evt_"):
            event = await events.get_event(services, project, text)
            return [{"what": f"event {event.type}", "id": text, "to": f"/events/{text}"}]
        if read_shard(text, "dlv_"):
            await get_delivery(services, project, text)
            return [{"what": "delivery", "id": text, "to": f"/deliveries/{text}"}]
        if is_endpoint(text):
            await endpoints.find(services, project, text)
            return [{"what": "endpoint", "id": text, "to": f"/endpoints/{text}"}]
        if text.startswith("acc_"):
            await get_account(services, project, text)
            return [{"what": "account", "id": text, "to": "/accounts"}]
        if read_callback_job(text):
            return [_hit((await callbacks.get(services, project, text)).job)]
    except NotFound:
        return []
    if "://" in text:
        return await _find_url(visit, text)
    return [_hit(job) for job in await _find_jobs(visit, text)]


def _hit(job: Job) -> Hit:
    return {"what": job.kind, "id": job.id, "to": f"/jobs/{job.kind}/{job.id}"}


async def _find_jobs(visit: Visit, job_id: str) -> Sequence[Job]:
    """Return the watched jobs with this id at their provider, of any kind, in one round trip."""
    store = visit.services.store
    wanted = [
        job_key(store.shard_of(account.id), account.id, spec.name, job_id)
        for account in await store.accounts.list_recent(visit.project)
        for spec in KINDS.values()
        if spec.provider == account.provider
    ]
    return [each.record for each in (await load_jobs(store, wanted)).values()]


async def _find_url(visit: Visit, url: str) -> list[Hit]:
    try:
        found, _ = await callback_lists.list_callbacks(visit.services, visit.project, url=url, limit=20)
    except BridgeError:
        return []
    hits: dict[str, Any] = {(hit := _hit(each.job))["to"]: hit for each in found}
    return list(hits.values())


PAGES = (DashboardPage(path="/find", read=read_search),)
