"""Bring many deliveries back at once."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.services.context import Services
from bridge.services.deliveries.admin import current_lanes
from bridge.services.queries import load_deliveries, load_dues
from bridge.services.requeue import start_again
from bridge.store.errors import WriteConflict
from bridge.store.records import Loaded
from bridge.store.tables.indexes import Cursor

PAGE: Final = 100
TRIES: Final = 20


async def recover(
    services: Services, project: str, *, since_ms: int, until_ms: int | None = None, state: str | None = None
) -> int:
    """Bring back every parked delivery (or those of `state`) made since a time, each exactly once.

    What had succeeded or was cancelled goes out marked `webhook-resend: true`.
    """
    wanted = DeliveryState(state or DeliveryState.PARKED)
    recovered = 0
    place: Cursor | None = None
    while True:
        page = await services.store.indexes.deliveries(project, cursor=place, limit=PAGE)
        place = page[-1] if len(page) == PAGE else None
        ids = [at.id for at in page if since_ms <= at.at_ms and (until_ms is None or at.at_ms <= until_ms)]
        recovered += await _recover(services, ids, wanted)
        if place is None or place.at_ms < since_ms:
            return recovered


async def _recover(services: Services, ids: Sequence[str], wanted: DeliveryState) -> int:
    """Send those of a page that are in a state again; return how many. Those that others change are looked at anew."""
    recovered = 0
    for _ in range(TRIES):
        found = [each for each in await load_deliveries(services.store, ids) if each.record.state is wanted]
        done = await _send_again(services, found)
        recovered += sum(done)
        ids = [each.record.id for each, is_done in zip(found, done, strict=True) if not is_done]
        if not ids:
            return recovered
    raise WriteConflict


async def _send_again(services: Services, found: Sequence[Loaded[Delivery]]) -> list[bool]:
    """Restart deliveries, in a few round trips; return for each whether nobody else was first."""
    records = [each.record for each in found]
    dues, lanes = await load_dues(services.store, records), await current_lanes(services, records)
    done: dict[str, bool] = {}
    for shard in sorted({each.id[4] for each in records}):
        changes = {}
        for each in found:
            if (identifier := each.record.id)[4] == shard:
                unit = services.unit_of_work(shard)
                start_again(unit, _mark(each), dues[identifier], lane=lanes[identifier])
                changes[identifier] = unit.change()
        results = await services.store.committer.commit_many(list(changes.values()))
        done |= {each: how == "done" for each, how in zip(changes, results, strict=True)}
    return [done[each.id] for each in records]


def _mark(loaded: Loaded[Delivery]) -> Loaded[Delivery]:
    """Mark what was over as sent again because a person asked, as a resend is."""
    if loaded.record.state is DeliveryState.PARKED:
        return loaded
    return Loaded(replace(loaded.record, resend=True), loaded.raw)
