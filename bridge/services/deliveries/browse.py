"""Look through a project's deliveries by several conditions at once, a bounded number at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery, DeliveryState, visible_state
from bridge.domain.ids import is_endpoint
from bridge.services.context import Services
from bridge.services.deliveries.lists import next_attempts_ms
from bridge.services.queries import load_deliveries, parse_cursor
from bridge.store.tables.indexes import Cursor

STEP: Final = 500
MOST_LOOKED: Final = 2_000  # deliveries that one page looks at
FAILING: Final = "failing"  # pending, and at least one attempt has failed
TROUBLE: Final = frozenset({FAILING, str(DeliveryState.PARKED)})
STATES: Final = (FAILING, *(str(each) for each in DeliveryState))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to show: each condition that is set must hold.

    `states` are those of `STATES`, empty: any. `answer` is a class of the last answer (`2xx`, `4xx`, ..., `none` for no
    answer) or a status. Times are Unix milliseconds.
    """

    states: frozenset[str] = frozenset()
    receiver: str = ""  # an origin
    answer: str = ""
    since_ms: int = 0
    until_ms: int = 0
    subscription: str = ""

    @property
    def is_any(self) -> bool:
        """Whether every delivery fits."""
        return self == DeliveryFilter(since_ms=self.since_ms, until_ms=self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A delivery with when its next attempt is due; see `next_attempts_ms`."""

    delivery: Delivery
    due_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsed:
    """A page of deliveries, newest first.

    `cursor` is where to go on, None at the end. `looked` counts those that were looked at, back to `back_to_ms`.
    """

    rows: Sequence[DeliveryRow]
    cursor: str | None
    looked: int
    back_to_ms: int


def fits(wanted: DeliveryFilter, delivery: Delivery, due_ms: int | None) -> bool:
    """Return whether a delivery meets the conditions, but those about time."""
    if wanted.subscription and delivery.subscription != wanted.subscription:
        return False
    if wanted.receiver and read_origin(delivery.lane) != wanted.receiver:
        return False
    if wanted.answer and not _answered(delivery, wanted.answer):
        return False
    return not wanted.states or bool(_names(delivery, due_ms) & wanted.states)


def _names(delivery: Delivery, due_ms: int | None) -> set[str]:
    """Return the names of a delivery's state; one that fails is pending too."""
    names = {str(visible_state(delivery, due_ms))}
    if delivery.state is DeliveryState.PENDING and delivery.tries:
        names.add(FAILING)
    return names


def _answered(delivery: Delivery, wanted: str) -> bool:
    if not delivery.attempts:
        return False
    status = delivery.attempts[-1].status
    if status is None:
        return wanted == "none"
    return wanted in (str(status), f"{status // 100}xx")


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
    place = parse_cursor(cursor)
    if place is None and wanted.until_ms:
        place = Cursor(wanted.until_ms + 1, "")
    step = limit if wanted.is_any else STEP
    walk = _Walk()
    while True:
        places = await _read(services, project, wanted, place, step)
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
            )


async def _read(
    services: Services, project: str, wanted: DeliveryFilter, place: Cursor | None, count: int
) -> Sequence[Cursor]:
    indexes = services.store.indexes
    if is_endpoint(wanted.subscription):
        return await indexes.deliveries_of_endpoint(wanted.subscription, cursor=place, limit=count)
    return await indexes.deliveries(project, cursor=place, limit=count)


async def _pick(
    services: Services, project: str, wanted: DeliveryFilter, places: Sequence[Cursor]
) -> list[tuple[Cursor, DeliveryRow]]:
    by_id = {at.id: at for at in places}
    found = [each.record for each in await load_deliveries(services.store, list(by_id))]
    mine = [each for each in found if each.project == project]
    # Whether an attempt is in flight must be asked, which is spared where it cannot matter.
    likely = [each for each in mine if any(fits(wanted, each, due_ms) for due_ms in (None, -1))]
    dues = await next_attempts_ms(services, likely)
    return [
        (by_id[each.id], DeliveryRow(delivery=each, due_ms=dues[each.id]))
        for each in likely
        if fits(wanted, each, dues[each.id])
    ]
