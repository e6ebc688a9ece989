"""Queries that several use cases share, each in one round trip."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from bridge.domain.deliveries.records import OPEN, Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import delivery_id
from bridge.domain.jobs.records import Job, PollLog
from bridge.errors import ValidationFailed
from bridge.store.records import Loaded, Wanted
from bridge.store.store import Store
from bridge.store.tables.indexes import Cursor, read_cursor

NO_LOG = PollLog()
SCAN_STEP: Final = 100  # rows that a filtered list loads at once
MAX_SCANNED: Final = 20_000  # rows that it looks at before it answers with a page that is not full

Row = TypeVar("Row")
ReadPlaces = Callable[[Cursor | None, int], Awaitable[Sequence[Cursor]]]
LoadFitting = Callable[[Sequence[str]], Awaitable[Mapping[str, Row]]]


async def load_jobs(store: Store, keys: Sequence[str]) -> dict[str, Loaded[Job]]:
    """Load jobs by key; those that are missing or cannot be read are left out."""
    return (await store.load_many(Wanted(jobs=keys))).jobs


async def load_log(store: Store, key: str) -> PollLog:
    """Load a job's poll log, which is empty before its first poll."""
    loaded = await store.load_log(key)
    return loaded.record if loaded else NO_LOG


async def load_events(store: Store, ids: Sequence[str]) -> list[EventRecord]:
    """Load events in the order of `ids`; those that are missing or cannot be read are left out."""
    found = (await store.load_many(Wanted(events=ids))).events
    return [found[identifier].record for identifier in ids if identifier in found]


async def load_deliveries(store: Store, ids: Sequence[str]) -> list[Loaded[Delivery]]:
    """Load deliveries in the order of `ids`; those that are missing or cannot be read are left out."""
    found = (await store.load_many(Wanted(deliveries=ids))).deliveries
    return [found[identifier] for identifier in ids if identifier in found]


async def load_job_deliveries(store: Store, key: str) -> list[Loaded[Delivery]]:
    """Load all deliveries of a job, oldest first."""
    return await load_deliveries(store, await store.indexes.job_deliveries(key))


async def load_callback_deliveries(store: Store, key: str, callback_id: str) -> list[Loaded[Delivery]]:
    """Load all deliveries of one callback of a job, oldest first, without those of the job's other callbacks."""
    events = await store.indexes.job_events(key)
    return await load_deliveries(store, [delivery_id(event, callback_id) for event in events])


async def find_undelivered(store: Store, key: str, callbacks: Collection[str]) -> set[str]:
    """Return those of some callbacks of a job to which something is still to be delivered, or is parked."""
    events = await store.indexes.job_events(key)
    ids = [delivery_id(event, callback) for callback in sorted(callbacks) for event in events]
    return {
        each.record.subscription for each in await load_deliveries(store, ids) if each.record.state in OPEN
    }


async def load_dues(store: Store, deliveries: Sequence[Delivery]) -> dict[str, int | None]:
    """Return by id when each delivery is due, see `Lanes.due_of`."""
    found: dict[str, int | None] = {}
    for shard in sorted({each.id[4] for each in deliveries}):
        here = [each for each in deliveries if each.id[4] == shard]
        dues = await store.dlv.due_many(shard, [(each.lane, each.id) for each in here])
        found |= {each.id: due_ms for each, due_ms in zip(here, dues, strict=True)}
    return found


def parse_cursor(text: str | None) -> Cursor | None:
    """Parse a client's cursor; raise ValidationFailed for text that no list returned as one."""
    try:
        return read_cursor(text) if text else None
    except ValueError as error:
        raise ValidationFailed("cursor", str(error)) from None


async def fill_page(
    read: ReadPlaces, load: LoadFitting[Row], *, cursor: str | None, limit: int, is_filtered: bool
) -> tuple[list[Row], str | None]:
    """Return a full page of the rows that fit, and the cursor of the next one.

    `read` gives the places of so many rows behind a place, newest first; `load` gives those of these rows that fit, by
    id. A page is short only at the end of the list, or if `MAX_SCANNED` rows hold no more that fit; then it has a
    cursor.
    """
    found: list[tuple[Cursor, Row]] = []
    place = parse_cursor(cursor)
    step = max(limit, SCAN_STEP) if is_filtered else limit
    for _ in range(0, MAX_SCANNED, step):
        places = await read(place, step)
        rows = await load([at.id for at in places])
        found += [(at, rows[at.id]) for at in places if at.id in rows]
        place = places[-1] if len(places) == step else None
        if len(found) > limit:
            place = found[limit - 1][0]
        if place is None or len(found) >= limit:
            break
    return [row for _, row in found[:limit]], place.text() if place else None
