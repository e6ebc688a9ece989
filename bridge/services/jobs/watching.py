"""Watch a job for somebody who waits for its end, without a callback URL."""

from msgspec.structs import replace

from bridge.domain.events.filters import NOTHING, matches
from bridge.domain.jobs.watches import WATCH, needs_watch
from bridge.errors import NotFound
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.jobs.last_seen import get_job
from bridge.services.jobs.registration import register, release_holds
from bridge.services.jobs.registration_case import RegisterCallback


async def ensure_watched(
    services: Services, project: str, kind: str, job_id: str, *, account: str | None
) -> None:
    """Register a watch for a job that has not ended and that no callback keeps polled.

    `account` is the one to use for a job that is not known yet. Raise what a registration raises.
    """
    try:
        job, _, _ = await get_job(services, project, kind, job_id)
    except NotFound:
        pass
    else:
        if not needs_watch(job):
            return
        account = job.account
    command = replace(watch_command(kind), job_id=job_id, account=account)
    (made,) = await register(services, project, (command,))
    release_holds(services, (made.callback.id,))


def watch_command(kind: str) -> RegisterCallback:
    """Return the registration of a watch for jobs of a kind."""
    return RegisterCallback(kind=kind, job_id="", url=WATCH, events=NOTHING)


async def is_heard_of(services: Services, project: str, kind: str) -> bool:
    """Return whether an endpoint of a project asks for any event of jobs of a kind, whatever their persona."""
    table = await services.store.endpoints.latest(project)
    kinds = CATALOGUE.kinds_beside(kind)
    types = [each for each in CATALOGUE.types.values() if each.kind in kinds]
    return any(
        matches(endpoint.events, each.type, ending=each.ending)
        for endpoint in table.by_id.values()
        for each in types
    )
