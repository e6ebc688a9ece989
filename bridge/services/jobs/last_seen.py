"""Look up jobs as the bridge last saw them, without a request to the provider."""

from typing import Any

from bridge.domain.ids import job_key
from bridge.domain.jobs.records import Job, PollLog
from bridge.errors import NotFound, ValidationFailed
from bridge.providers.registry import KINDS
from bridge.services.context import Services
from bridge.services.queries import load_log


async def get_job(
    services: Services, project: str, kind: str, job_id: str
) -> tuple[Job, PollLog, dict[str, Any] | None]:
    """Return a job, its poll log and its last observed object; raise NotFound if this project does not watch it."""
    spec = KINDS.get(kind)
    if spec is None:
        raise ValidationFailed("kind", f"use one of {', '.join(sorted(KINDS))}")
    for account in await services.store.accounts.list(project):
        if account.provider != spec.provider:
            continue
        key = job_key(services.store.shard_of(account.id), account.id, kind, job_id)
        loaded = await services.store.load_job(key)
        if loaded is not None:
            log = await load_log(services.store, key)
            return loaded.record, log, await services.store.load_object(key)
    raise NotFound(f"no {kind} {job_id[:80]} is watched in this project: register a callback for it first")
