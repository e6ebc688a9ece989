"""Master key rotation: encrypt every secret again under the newest key, and count what each key still holds."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bridge.domain.jobs.callbacks import callbacks_by_id, change_callbacks
from bridge.domain.jobs.records import Job
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.services.context import Services
from bridge.services.starts.sealing import reseal_starts
from bridge.services.subscriptions.sealing import reseal, reseal_endpoint
from bridge.store.errors import WriteConflict
from bridge.store.records import Loaded, UnreadableRecord, Wanted
from bridge.store.tables.key_usage import KeyCounter
from bridge.store.unit_of_work import UnitOfWork, retrying

log = structlog.get_logger()

TRIES: Final = 3
SCAN_COUNT: Final = 500


async def reseal_shard(
    services: Services, shard: str, counter: KeyCounter, beat: Callable[[], Awaitable[None]]
) -> tuple[int, int]:
    """Seal a shard's jobs under the newest key; return how many there are and how many changed.

    A record that cannot be read is logged by its key, counted and passed over. `beat` is called for each page.
    """
    looked = resealed = 0
    async for keys in services.store.scan.jobs(shard, count=SCAN_COUNT):
        page = await services.store.load_many(Wanted(jobs=keys))
        counter.note_unreadable("jobs", len(page.unreadable))
        looked += len(page.jobs)
        resealed += sum([await reseal_job(services, *each, counter) for each in page.jobs.items()])
        await beat()
    return looked, resealed


async def reseal_rest(services: Services, counter: KeyCounter) -> None:
    """Seal what lies outside of jobs, once all shards are counted, and keep the count."""
    former = await services.store.key_usage.load()
    # The sweep counts deliveries, of which there may be many more than jobs.
    counter.note_unreadable("deliveries", former.unreadable.get("deliveries", 0) if former else 0)
    await reseal_tables(services, counter)


async def reseal_tables(services: Services, counter: KeyCounter) -> None:
    """Seal what lies outside of jobs under the newest key, and keep the count, to which callbacks were added before."""
    store = services.store
    for noun, sealed in (
        ("signing_secrets", await store.projects.reseal()),
        ("credentials", await store.accounts.reseal()),
        ("idempotent_responses", await store.idempotency.reseal(store.vault)),
        ("starts", await reseal_starts(services)),
    ):
        for value in sealed:
            counter.note(noun, (value,))
    for endpoint in await _reseal_endpoints(services):
        counter.note("endpoints", (endpoint.url, endpoint.secret, endpoint.previous_secret, endpoint.headers))
    for table, count in (await store.count_unreadable()).items():
        counter.note_unreadable(table, count)
    usage = counter.usage(services.clock_ms())
    await store.key_usage.save(usage)
    if missing := sorted(set(usage.held) - set(store.vault.key_ids)):
        log.error("keys.missing", key_ids=missing, held=[usage.held[key_id] for key_id in missing])


async def _reseal_endpoints(services: Services) -> list[Endpoint]:
    """Seal all endpoints under the newest key; return them as they are then. One that others change is left as it was."""
    store = services.store
    found = []
    for project in await store.projects.list():
        for loaded in await store.endpoints.load_all(project.id):
            resealed = reseal_endpoint(store.vault, loaded.record)
            written = resealed != loaded.record and await store.endpoints.replace_sealed(resealed, loaded.raw)
            found.append(resealed if written else loaded.record)
    return found


async def reseal_job(services: Services, key: str, loaded: Loaded[Job], counter: KeyCounter) -> bool:
    """Seal a job's callbacks under the newest key, and count them; return whether anything was written.

    A job that others write again and again is counted as it was; the next sweep finds it.
    """
    known: Loaded[Job] | None = loaded  # for the first try

    async def stage() -> tuple[UnitOfWork | None, tuple[Job | None, bool]]:
        nonlocal known
        current, known = known or await services.store.load_job(key), None
        if current is None:
            return None, (None, False)
        job = change_callbacks(current.record, lambda each: reseal(services.store.vault, each))
        if job == current.record:
            return None, (job, False)
        unit = services.unit_of_work(key[0])
        unit.put_job(key, job, current)
        return unit, (job, True)

    try:
        found, written = await retrying(services.store.committer, stage, tries=TRIES)
    except (WriteConflict, UnreadableRecord):
        found, written = loaded.record, False
    if found is not None:
        for each in callbacks_by_id(found).values():
            counter.note("callbacks", (each.url, each.secret, each.headers))
    return written
