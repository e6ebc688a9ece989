"""What a project may have in the store; more is refused before anything is written."""

import asyncio
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
    """Raise RateLimited when what a project holds (see `held_bytes`) would be too large with `grown` bytes more."""
    most = quota_bytes(services)
    if grown > 0 and held + grown > most:
        raise RateLimited(
            WAIT_S,
            f"this project's jobs, callbacks and answers kept for an Idempotency-Key hold {held / MEGABYTE:,.1f} MB of"
            f" {most / MEGABYTE:,.1f} MB: wait for some to end, or register with less metadata, fewer headers and no"
            " Idempotency-Key",
        )


async def held_bytes(services: Services, project: str) -> int:
    """Return the bytes of a project's job records, with their callbacks, and of its answers kept for an Idempotency-Key."""
    store = services.store
    return sum(await asyncio.gather(store.job_bytes.total(project), store.idempotency.total(project)))


def quota_bytes(services: Services) -> int:
    """Return the bytes that a project may have: the setting's, and at most half of the store's memory.

    It keeps one project from filling the store for all. Several can fill it together, and then the store refuses new work.
    A store with next to no memory is full, which its own answers say, and is no reason to blame a project.
    """
    quota = services.settings.project_quota
    half = max(services.store_memory // 2, MIN_QUOTA)
    return min(quota, half) if services.store_memory else quota
