"""Lists of events, newest first, or oldest first behind a position."""

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.domain.events.event import read_event_job
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import job_key
from bridge.providers.registry import KINDS
from bridge.services.context import Services
from bridge.services.queries import MAX_SCANNED, load_jobs
from bridge.store.records import Wanted

SCAN_STEP: Final = 100  # events that a filtered list loads at once; each has up to 256 KB


async def list_events(
    services: Services,
    project: str,
    *,
    type_: str | None = None,
    kind: str | None = None,
    job_id: str | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 100,
    most: int = MAX_SCANNED,
) -> tuple[list[tuple[EventRecord, int]], int | None]:
    """Return events with their positions in the project's feed, newest first, or after `after` oldest first.

    The second result is the position at which to go on, None at the end. A page is short only at the end, or if
    `most` events hold no more that fit.
    """
    found: list[tuple[EventRecord, int]] = []
    scan = _Scan(services, project, before=before, after=after)
    if job_id is not None:
        await scan.narrow(kind, job_id)
    step = limit if (type_, kind, job_id) == (None, None, None) else max(limit, SCAN_STEP)
    page: list[tuple[str, int]] = []
    for _ in range(0, most, step):
        page = await scan.read(step)
        events = await _load(services, project, [identifier for identifier, _ in page])
        for identifier, position in page:
            event = events.get(identifier)
            if event is not None and _matches(event, type_, kind, job_id):
                found.append((event, position))
                if len(found) == limit:
                    return found, position
        if len(page) < step:
            return found, None
    return found, page[-1][1]


async def _load(services: Services, project: str, ids: Sequence[str]) -> dict[str, EventRecord]:
    """Return the events of a page of the feed; those that have no record any more leave it.

    An event has its record before it is in the feed, so a crash came between the end of its retention and this.
    """
    found = await services.store.load_many(Wanted(events=ids))
    gone = [each for each in ids if each not in found.events and each not in found.unreadable]
    await services.store.feed.forget(project, gone)
    return {identifier: loaded.record for identifier, loaded in found.events.items()}


async def find_fitting(
    services: Services,
    project: str,
    event_id: str,
    *,
    type_: str | None,
    kind: str | None,
    job_id: str | None,
) -> EventRecord | None:
    """Return an event of a project if there is one with this id and it fits."""
    event = (await _load(services, project, [event_id])).get(event_id)
    if event is None or event.project != project or not _matches(event, type_, kind, job_id):
        return None
    return event


def _matches(event: EventRecord, type_: str | None, kind: str | None, job_id: str | None) -> bool:
    if type_ not in (None, event.type) or kind not in (None, event.type.partition(".")[0]):
        return False
    return job_id is None or read_event_job(event.body) == job_id


class _Scan:
    """Reads a project's feed in one direction: all of it, or only the events of one of the upstream's ids."""

    def __init__(self, services: Services, project: str, *, before: int | None, after: int | None) -> None:
        self._services = services
        self._project = project
        self._before = before
        self._after = after
        self._positions: dict[str, int] | None = None

    async def narrow(self, kind: str | None, job_id: str) -> None:
        """Look the events up by their job; do nothing if no job has this id.

        It may be the id of a part, whose events stand with the job that has the part.
        """
        store = self._services.store
        kinds = list(KINDS) if kind is None else [kind]
        jobs = [
            job_key(store.shard_of(account.id), account.id, each, job_id)
            for account in await store.accounts.list(self._project)
            for each in kinds
        ]
        known = await store.feed.positions_of(self._project, await store.indexes.events_of_jobs(jobs))
        if known or await load_jobs(store, jobs):
            self._positions = known

    async def read(self, count: int) -> list[tuple[str, int]]:
        """Return the next (event id, position), at most so many."""
        if self._positions is None:
            page = await self._services.store.feed.read(
                self._project, after=self._after, before=self._before, limit=count
            )
        else:
            page = self._pick(self._positions, count)
        if page:
            last = page[-1][1]
            self._before, self._after = (last, None) if self._after is None else (None, last)
        return page

    def _pick(self, positions: Mapping[str, int], count: int) -> list[tuple[str, int]]:
        def is_ahead(at: int) -> bool:
            return (self._after is None or at > self._after) and (self._before is None or at < self._before)

        rows = [(event, at) for event, at in positions.items() if is_ahead(at)]
        return sorted(rows, key=lambda row: row[1], reverse=self._after is None)[:count]
