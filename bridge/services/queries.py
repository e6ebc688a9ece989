"""Queries that several use cases share, each in one round trip."""

from collections.abc import Sequence

from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.records import Job, PollLog
from bridge.errors import ValidationFailed
from bridge.store.records import Loaded, Wanted
from bridge.store.store import Store
from bridge.store.tables.indexes import Cursor, read_cursor

NO_LOG = PollLog()


async def load_jobs(store: Store, keys: Sequence[str]) -> dict[str, Loaded[Job]]:
    """Load jobs by key; missing ones are left out."""
    return (await store.load_many(Wanted(jobs=keys))).jobs


async def load_log(store: Store, key: str) -> PollLog:
    """Load a job's poll log, which is empty before its first poll."""
    loaded = await store.load_log(key)
    return loaded.record if loaded else NO_LOG


async def load_events(store: Store, ids: Sequence[str]) -> list[EventRecord]:
    """Load events in the order of `ids`; missing ones are left out."""
    found = (await store.load_many(Wanted(events=ids))).events
    return [found[identifier].record for identifier in ids if identifier in found]


async def load_deliveries(store: Store, ids: Sequence[str]) -> list[Loaded[Delivery]]:
    """Load deliveries in the order of `ids`; missing ones are left out."""
    found = (await store.load_many(Wanted(deliveries=ids))).deliveries
    return [found[identifier] for identifier in ids if identifier in found]


async def load_job_deliveries(store: Store, key: str) -> list[Loaded[Delivery]]:
    """Load all deliveries of a job, oldest first."""
    return await load_deliveries(store, await store.indexes.job_deliveries(key))


def parse_cursor(text: str | None) -> Cursor | None:
    """Parse a client's cursor; raise ValidationFailed for text that no list returned as one."""
    try:
        return read_cursor(text) if text else None
    except ValueError as error:
        raise ValidationFailed("cursor", str(error)) from None
