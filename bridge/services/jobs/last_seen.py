"""Look up jobs as the bridge last saw them, without a request to the provider."""

from typing import Any

from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import NewEvent, Transition
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.jobs.watches import GROUPS
from bridge.errors import NotFound, ValidationFailed
from bridge.providers.registry import KINDS
from bridge.providers.status_words import read_related
from bridge.services.context import Services
from bridge.services.queries import load_log
from bridge.store.records import UnreadableRecord


async def get_job(
    services: Services, project: str, kind: str, job_id: str
) -> tuple[Job, PollLog, dict[str, Any] | None]:
    """Return a job, its poll log and its last observed object; raise NotFound if this project does not watch it."""
    spec = KINDS.get(kind)
    if spec is None and kind not in GROUPS:
        raise ValidationFailed("kind", f"use one of {', '.join(sorted(KINDS))}")
    for account in await services.store.accounts.list(project):
        if spec is not None and account.provider != spec.provider:
            continue
        key = job_key(services.store.shard_of(account.id), account.id, kind, job_id)
        loaded = await services.store.load_job(key)
        if loaded is not None:
            log = await load_log(services.store, key)
            return loaded.record, log, await services.store.load_object(key)
    raise NotFound(f"no {kind} {job_id[:80]} is watched in this project: register a callback for it first")


async def recall(services: Services, key: str, moved: Transition) -> Transition:
    """Return a transition whose events of a job that is gone show its object, and what it belonged to, as last seen.

    Where that object cannot be read, they have its id alone: that the job is gone is known all the same.
    """
    if not any(each.draft.fact.gone for each in moved.new_events):
        return moved
    try:
        seen = await services.store.load_object(key)
    except UnreadableRecord:
        seen = None
    data = seen if isinstance(seen, dict) and "id" in seen else {}
    return replace(moved, new_events=tuple(_show(each, data) for each in moved.new_events))


def _show(event: NewEvent, data: dict[str, Any]) -> NewEvent:
    fact = event.draft.fact
    if not fact.gone:
        return event
    if data:
        related = {**read_related(KINDS[fact.kind], data), **fact.related}
        fact = replace(fact, data=data, related=related)
    else:
        fact = replace(fact, gone=False)
    return replace(event, draft=replace(event.draft, fact=fact))
