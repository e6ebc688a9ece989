"""What a project may have in the store; more is refused before anything is written."""

from typing import Final

from bridge.errors import RateLimited
from bridge.services.context import Services

JOBS_PER_PROJECT: Final = 100_000
WAIT_S: Final = 60
MEGABYTE: Final = 1 << 20
MIN_QUOTA: Final = 4 * MEGABYTE


def check_jobs(watched: int, made: int) -> None:
    """Raise RateLimited when a project that watches so many jobs, over all its accounts, would watch too many.

    Registrations at the same moment may each pass by a few.
    """
    if made and watched + made > JOBS_PER_PROJECT:
        raise RateLimited(
            WAIT_S, f"this project watches {watched:,} jobs of {JOBS_PER_PROJECT:,}: wait for some to end"
        )


def check_bytes(services: Services, held: int, grown: int) -> None:
    """Raise RateLimited when the job records of a project, with their callbacks, would be too large together."""
    most = quota_bytes(services)
    if grown > 0 and held + grown > most:
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
