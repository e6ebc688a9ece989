"""Look through a project's deliveries by several conditions at once, a bounded number at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.domain.deliveries.records import Delivery
from bridge.domain.ids import is_endpoint
from bridge.services.context import Services
from bridge.services.deliveries.delivery_filter import DeliveryFilter, fits, keep_fitting
from bridge.services.deliveries.lists import next_attempts_ms
from bridge.services.queries import load_deliveries, parse_cursor
from bridge.store.tables.indexes import Cursor

STEP: Final = 500
MOST_LOOKED: Final = 1_000  # deliveries that one page looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A delivery with when its next attempt is due; see `next_attempts_ms`."""

    delivery: Delivery
    due_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsed:
    """A page of deliveries, newest first.

    `cursor` is where to go on, None at the end. `looked` counts those that were looked at, back to `back_to_ms`. `total` is
    the number of all that fit, None where only looking at all of them would tell.
    """

    rows: Sequence[DeliveryRow]
    cursor: str | None
    looked: int
    back_to_ms: int
    total: int | None = None


@dataclass(slots=True)
class _Walk:
    rows: list[tuple[Cursor, DeliveryRow]] = field(default_factory=list)
    looked: int = 0
    back_to_ms: int = 0


async def browse(
    services: Services,
    project: str,
    wanted: DeliveryFilter,
    *,
    cursor: str | None = None,
    limit: int = 50,
    most: int = MOST_LOOKED,
) -> Browsed:
    """Return a page of what fits among the next `most` deliveries behind the cursor."""
    is_listed = wanted.is_trouble and await services.store.troubles.is_whole()
    place = parse_cursor(cursor)
    if place is None and wanted.until_ms:
        place = Cursor(wanted.until_ms + 1, "")
    step = limit if wanted.is_any or (is_listed and wanted.is_by_state) else min(STEP, most)
    walk = _Walk()
    while True:
        places = await _read(services, project, wanted, place, step, is_listed=is_listed)
        kept = [at for at in places if at.at_ms >= wanted.since_ms]
        walk.rows += await _pick(services, project, wanted, kept)
        walk.looked += len(kept)
        walk.back_to_ms = kept[-1].at_ms if kept else walk.back_to_ms
        is_over = len(places) < step or len(kept) < len(places)
        place = None if is_over else places[-1]
        if len(walk.rows) > limit or (len(walk.rows) == limit and place is not None):
            place = walk.rows[limit - 1][0]
        if place is None or len(walk.rows) >= limit or walk.looked >= most:
            return Browsed(
                rows=[row for _, row in walk.rows[:limit]],
                cursor=place.text() if place else None,
                looked=walk.looked,
                back_to_ms=walk.back_to_ms,
                total=await _count(services, project, wanted, is_listed=is_listed),
            )


async def _read(
    services: Services,
    project: str,
    wanted: DeliveryFilter,
    place: Cursor | None,
    count: int,
    *,
    is_listed: bool,
) -> Sequence[Cursor]:
    indexes = services.store.indexes
    if is_endpoint(wanted.subscription):
        return await indexes.deliveries_of_endpoint(wanted.subscription, cursor=place, limit=count)
    if is_listed:
        return await indexes.deliveries_in_trouble(project, wanted.states, cursor=place, limit=count)
    return await indexes.deliveries(project, cursor=place, limit=count)


async def _count(services: Services, project: str, wanted: DeliveryFilter, *, is_listed: bool) -> int | None:
    """Return how many deliveries fit, if an index knows."""
    if wanted.is_any:
        return await services.store.indexes.count_deliveries(
            project, wanted.since_ms, wanted.until_ms or None
        )
    if not (is_listed and wanted.is_by_state):
        return None
    counts = await services.store.troubles.count(
        project, since_ms=wanted.since_ms, until_ms=wanted.until_ms or None
    )
    return sum(counts[trouble] for trouble in wanted.states)


async def _pick(
    services: Services, project: str, wanted: DeliveryFilter, places: Sequence[Cursor]
) -> list[tuple[Cursor, DeliveryRow]]:
    by_id = {at.id: at for at in places}
    found = [each.record for each in await load_deliveries(services.store, list(by_id))]
    mine = [each for each in found if each.project == project]
    # Whether an attempt is in flight must be asked, which is spared where it cannot matter.
    likely = [each for each in mine if any(fits(wanted, each, due_ms) for due_ms in (None, -1))]
    likely = await keep_fitting(services, wanted, likely)
    dues = await next_attempts_ms(services, likely)
    return [
        (by_id[each.id], DeliveryRow(delivery=each, due_ms=dues[each.id]))
        for each in likely
        if fits(wanted, each, dues[each.id])
    ]
