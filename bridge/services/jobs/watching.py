"""Watch a job for somebody who waits for its end, without a callback URL."""

from bridge.domain.events.filters import NOTHING
from bridge.domain.jobs.watches import WATCH, needs_watch
from bridge.errors import NotFound
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
    command = RegisterCallback(kind=kind, job_id=job_id, url=WATCH, events=NOTHING, account=account)
    (made,) = await register(services, project, (command,))
    release_holds(services, (made.callback.id,))
