"""What a project may have in the store; more is refused before anything is written."""

from collections import defaultdict
from typing import Final

from bridge.errors import RateLimited
from bridge.services.context import Services

JOBS_PER_PROJECT: Final = 100_000
WAIT_S: Final = 60
MEGABYTE: Final = 1 << 20
MIN_QUOTA: Final = 4 * MEGABYTE


async def check_jobs(services: Services, project: str, made: int) -> None:
    """Raise RateLimited when a project would watch too many jobs, over all its accounts.

    Registrations at the same moment may each pass by a few.
    """
    store = services.store
    by_shard: dict[str, list[str]] = defaultdict(list)
    for account in await store.accounts.list(project):
        by_shard[store.shard_of(account.id)].append(account.id)
    watched = 0
    for shard, accounts in by_shard.items():
        watched += sum((await store.poll.sizes(shard, accounts)).values())
    if watched + made > JOBS_PER_PROJECT:
        raise RateLimited(
            WAIT_S, f"this project watches {watched:,} jobs of {JOBS_PER_PROJECT:,}: wait for some to end"
        )


async def check_bytes(services: Services, project: str, grown: int) -> None:
    """Raise RateLimited when the job records of a project, with their callbacks, would be too large together."""
    if grown <= 0:
        return
    most = quota_bytes(services)
    held = await services.store.job_bytes.total(project)
    if held + grown > most:
        raise RateLimited(
            WAIT_S,
            f"this project's jobs and callbacks hold {held / MEGABYTE:,.1f} MB of {most / MEGABYTE:,.1f} MB: wait for some"
            " to end, or register with less metadata and fewer headers",
        )


def quota_bytes(services: Services) -> int:
    """Return the bytes that a project may have: the setting's, and at most half of the store's memory.

    A store with next to no memory is full, which its own answers say, and is no reason to blame a project.
    """
    quota = services.settings.project_quota
    half = max(services.store_memory // 2, MIN_QUOTA)
    return min(quota, half) if services.store_memory else quota
