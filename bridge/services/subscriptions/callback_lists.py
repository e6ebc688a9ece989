"""List a project's callbacks, newest first."""

from collections.abc import Sequence
from typing import Final

from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.callbacks import find_callback
from bridge.domain.jobs.deadlines import is_live
from bridge.services.accounts.budget_view import next_turn_ms
from bridge.services.context import Services
from bridge.services.queries import NO_LOG, load_jobs, parse_cursor
from bridge.services.subscriptions.callbacks import FoundCallback, view_state
from bridge.services.subscriptions.lookup import list_job_callbacks
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.indexes import Cursor

PAGE: Final = 100
MAX_SORTED: Final = (
    1000  # up to so many callbacks of one URL are sorted in memory; beyond, all the project's are scanned
)
SCAN_PAGES: Final = 50  # pages that one request with a filter scans before it returns a cursor


async def list_callbacks(
    services: Services,
    project: str,
    *,
    kind: str | None = None,
    job_id: str | None = None,
    url: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[list[FoundCallback], str | None]:
    """Return a page of callbacks, newest first, and the next cursor; a short filtered page may still have one."""
    ids = await _matching_ids(services, project, kind=kind, job_id=job_id, url=url)
    if ids is not None:
        found = [each for each in await _find_all(services, project, ids) if _matches(each, kind, state)]
        return _paginate(found, cursor, limit)
    wanted = None if url is None else services.store.vault.fingerprint(url)
    found = []
    place = parse_cursor(cursor)
    for _ in range(SCAN_PAGES):
        page = await services.store.indexes.callbacks(project, cursor=place, limit=limit)
        place = page[-1] if len(page) == limit else None
        for each in await _find_all(services, project, [at.id for at in page]):
            if _matches(each, kind, state) and wanted in (None, each.callback.fingerprint):
                found.append(each)
        if len(found) > limit:
            last = found[limit - 1].callback
            return found[:limit], Cursor(last.created_ms, last.id).text()
        if place is None or len(found) == limit:
            break
    return found, place.text() if place else None


def _paginate(
    found: list[FoundCallback], cursor: str | None, limit: int
) -> tuple[list[FoundCallback], str | None]:
    """Return one page of a list in memory, and the cursor of the next page, which is the id of the last callback."""
    found.sort(key=lambda each: (-each.callback.created_ms, each.callback.id))
    start = next((i + 1 for i, each in enumerate(found) if each.callback.id == cursor), 0)
    page = found[start : start + limit]
    return page, page[-1].callback.id if start + limit < len(found) else None


def _matches(found: FoundCallback, kind: str | None, state: str | None) -> bool:
    return kind in (None, found.job.kind) and state in (None, str(view_state(found)))


async def _find_all(services: Services, project: str, ids: Sequence[str]) -> list[FoundCallback]:
    by_key = {identifier: read_callback_job(identifier) for identifier in ids}
    page = await load_jobs(services.store, sorted({key for key in by_key.values() if key}))
    health: dict[str, AccountHealth] = {}
    found = []
    for identifier, key in by_key.items():
        loaded = page.get(key) if key else None
        if key is None or loaded is None or loaded.record.project != project:
            continue
        job = loaded.record
        callback = find_callback(job, identifier)
        if callback is None:
            continue
        if job.account not in health:
            health[job.account] = await services.store.health.load(job.account)
        due = await next_turn_ms(services, job.account, key) if is_live(callback) else None
        found.append(
            FoundCallback(job=job, callback=callback, log=NO_LOG, due_ms=due, health=health[job.account])
        )
    return found


async def _matching_ids(
    services: Services, project: str, *, kind: str | None, job_id: str | None, url: str | None
) -> list[str] | None:
    """Return the ids of a job's or a URL's callbacks; None if neither is named, or too many have this URL."""
    if url is None:
        return None if job_id is None else await list_job_callbacks(services.store, project, kind, job_id)
    fingerprint = services.store.vault.fingerprint(url)
    if job_id is not None:
        return await list_job_callbacks(services.store, project, kind, job_id, fingerprint=fingerprint)
    ids = await services.store.indexes.callbacks_by_url(project, fingerprint, limit=MAX_SORTED + 1)
    return ids if len(ids) <= MAX_SORTED else None
