"""Lists of callbacks, newest first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge.domain.ids import read_callback_job
from bridge.domain.jobs.callbacks import find_callback
from bridge.domain.jobs.deadlines import is_live
from bridge.services.accounts.budget_view import next_turns_ms
from bridge.services.context import Services
from bridge.services.queries import NO_LOG, fill_page, load_jobs
from bridge.services.subscriptions.callbacks import FoundCallback, view_state
from bridge.services.subscriptions.lookup import list_job_callbacks
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.indexes import Cursor

PAGE: Final = 100
MAX_SORTED: Final = (
    1000  # up to so many callbacks of one URL are sorted in memory; beyond, all the project's are scanned
)


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
    """Return a page of callbacks, newest first, and the next cursor; see `fill_page` for filtered pages.

    What only a view needs (when a job is polled next) is read for the rows of the page alone.
    """
    wanted = None if url is None else services.store.vault.fingerprint(url)
    reader = _Reader(services, project, kind=kind, state=state, fingerprint=wanted)
    ids = await _matching_ids(services, project, kind=kind, job_id=job_id, fingerprint=wanted)
    if ids is None:

        async def read(place: Cursor | None, count: int) -> Sequence[Cursor]:
            return await services.store.indexes.callbacks(project, cursor=place, limit=count)

        is_filtered = (kind, url, state) != (None, None, None)
        found, following = await fill_page(
            read, reader.load, cursor=cursor, limit=limit, is_filtered=is_filtered
        )
    else:
        rows = await reader.load(ids)
        places = sorted(
            (Cursor(each.callback.created_ms, each.callback.id) for each in rows.values()), reverse=True
        )

        async def read_some(place: Cursor | None, count: int) -> Sequence[Cursor]:
            return [each for each in places if place is None or each < place][:count]

        async def load_some(some: Sequence[str]) -> dict[str, FoundCallback]:
            return {each: rows[each] for each in some}

        found, following = await fill_page(
            read_some, load_some, cursor=cursor, limit=limit, is_filtered=False
        )
    return await _add_due(services, found), following


class _Reader:
    """Loads callbacks by id and keeps those that fit; the health of each account is loaded once."""

    def __init__(
        self,
        services: Services,
        project: str,
        *,
        kind: str | None,
        state: str | None,
        fingerprint: bytes | None,
    ) -> None:
        self._services = services
        self._project = project
        self._kind = kind
        self._state = state
        self._fingerprint = fingerprint
        self._health: dict[str, AccountHealth] = {}

    async def load(self, ids: Sequence[str]) -> dict[str, FoundCallback]:
        """Return the callbacks that fit, by id, in two round trips."""
        by_key = {identifier: read_callback_job(identifier) for identifier in ids}
        jobs = await load_jobs(self._services.store, sorted({key for key in by_key.values() if key}))
        accounts = {each.record.account for each in jobs.values()} - self._health.keys()
        if accounts:
            self._health |= await self._services.store.health.load_many(sorted(accounts))
        found = {}
        for identifier, key in by_key.items():
            loaded = jobs.get(key) if key else None
            if loaded is None or loaded.record.project != self._project:
                continue
            callback = find_callback(loaded.record, identifier)
            if callback is None:
                continue
            each = FoundCallback(
                job=loaded.record,
                callback=callback,
                log=NO_LOG,
                due_ms=None,
                health=self._health[loaded.record.account],
            )
            if self._fits(each):
                found[identifier] = each
        return found

    def _fits(self, found: FoundCallback) -> bool:
        return (
            self._kind in (None, found.job.kind)
            and self._fingerprint in (None, found.callback.fingerprint)
            and self._state in (None, str(view_state(found)))
        )


async def _add_due(services: Services, found: Sequence[FoundCallback]) -> list[FoundCallback]:
    """Return callbacks with the time at which their job is polled next, as far as they still wait for it."""
    keys = {each.callback.id: read_callback_job(each.callback.id) for each in found if is_live(each.callback)}
    jobs = {
        each.callback.id: (each.job.account, key) for each in found if (key := keys.get(each.callback.id))
    }
    dues = dict(zip(jobs, await next_turns_ms(services, list(jobs.values())), strict=True))
    return [replace(each, due_ms=dues.get(each.callback.id)) for each in found]


async def _matching_ids(
    services: Services, project: str, *, kind: str | None, job_id: str | None, fingerprint: bytes | None
) -> list[str] | None:
    """Return the ids of the callbacks of a job or a URL; None where neither is named, or too many have this URL."""
    if job_id is not None:
        return await list_job_callbacks(services.store, project, kind, job_id, fingerprint=fingerprint)
    if fingerprint is None:
        return None
    ids = await services.store.indexes.callbacks_by_url(project, fingerprint, limit=MAX_SORTED + 1)
    return ids if len(ids) <= MAX_SORTED else None
