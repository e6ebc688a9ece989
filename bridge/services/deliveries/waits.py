"""What holds back deliveries that are due or taken."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bridge.domain.deliveries.records import Delivery
from bridge.services.context import Services
from bridge.store.queue.fair_lanes import attempt_lease_ms
from bridge.store.queue.lanes import BEGINS_WITHIN_S
from bridge.store.queue.standings import LaneStanding

LATE_MS = 1_000  # an attempt that has been due for longer than this waits for something


class Wait(Struct, frozen=True, kw_only=True):
    """Why an attempt that is due has not begun, as far as that is known.

    `begins_by_ms`: a worker has taken it and begins it by then, if it has not yet; 0: it waits for a worker.
    """

    standing: LaneStanding | None = None
    is_asleep: bool = False  # the breaker of its URL lets nothing through now, or not more
    late_ms: int = 0
    workers: int = 0  # that are alive
    begins_by_ms: int = 0


async def find_waits(
    services: Services, deliveries: Sequence[Delivery], dues: Mapping[str, int | None]
) -> dict[str, Wait]:
    """Return by id what holds back each delivery that is due, or was taken a moment ago; `dues` as `next_attempts_ms`.

    One round trip for each shard, and one for the workers if an attempt is late.
    """
    now_ms = services.clock_ms()
    lease_ms = attempt_lease_ms(services.settings.attempt_timeout)
    waits: dict[str, Wait] = {}
    late: dict[str, list[tuple[Delivery, int]]] = defaultdict(list)
    for each in deliveries:
        due_ms = dues.get(each.id)
        if due_ms is None or due_ms > now_ms or due_ms == -each.busy_ms:
            continue
        if due_ms >= 0:
            late[each.id[4]].append((each, now_ms - due_ms))
        elif (by_ms := -due_ms - lease_ms + round(BEGINS_WITHIN_S * 1000)) > now_ms:
            waits[each.id] = Wait(begins_by_ms=by_ms)
    is_late = any(by_ms > LATE_MS for found in late.values() for _, by_ms in found)
    workers = await services.store.heartbeats.count(now_ms) if is_late else 0
    for shard, found in late.items():
        lanes = {each.lane for each, _ in found}
        standings = await services.store.standings.look(shard, lanes, now_ms=now_ms, lease_ms=lease_ms)
        for each, late_ms in found:
            standing = standings.get(each.lane)
            is_asleep = standing is not None and standing.breaker.sleeps_until_ms > now_ms
            waits[each.id] = Wait(standing=standing, late_ms=late_ms, workers=workers, is_asleep=is_asleep)
    return waits
