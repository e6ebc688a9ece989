"""Read a project's events, and send one again on request."""

from msgspec.structs import replace

from bridge.domain.deliveries.attempts import is_busy
from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import read_shard
from bridge.errors import Conflict, NotFound
from bridge.services.context import Services
from bridge.services.deliveries.destinations import find_destinations
from bridge.services.queries import load_dues, load_job_deliveries
from bridge.services.requeue import start_again
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork, retrying


async def get_event(services: Services, project: str, event_id: str) -> EventRecord:
    """Return an event; raise NotFound if this project has no such event."""
    shard = read_shard(event_id, "evt_")
    event = await services.store.load_event(event_id) if shard and shard in services.store.shards else None
    if event is None or event.project != project:
        raise NotFound(f"there is no event {event_id[:80]} in this project")
    return event


async def resend(
    services: Services, project: str, event_id: str, *, ended_before_ms: int | None = None
) -> list[Delivery]:
    """Send an event again to every callback that it was sent to, also after a 2xx, marked `webhook-resend: true`.

    With `ended_before_ms` deliveries that wait, or that ended later, are left alone. Without it, streams that ask for
    such events get it too.

    Raise Conflict while an attempt is in flight: its 2xx would end the delivery, and with it what was asked for.
    """
    event = await get_event(services, project, event_id)
    deliveries = await load_job_deliveries(services.store, event.job)
    mine = [
        each
        for each in deliveries
        if each.record.event == event_id
        and (ended_before_ms is None or 0 < each.record.done_ms <= ended_before_ms)
    ]
    dues = await load_dues(services.store, [each.record for each in mine])
    now_ms = services.clock_ms()
    if any(is_busy(each.record, dues[each.record.id], now_ms=now_ms) for each in mine):
        raise _in_flight()
    again = [sent for each in mine if (sent := await _resend(services, each.record.id))]
    if ended_before_ms is None:
        await services.store.feed.tell_resent(project, event_id)
    return again


async def _resend(services: Services, delivery_id: str) -> Delivery | None:
    """Send a delivery again and return it; None where its callback or endpoint is no longer there."""
    conflict = Conflict("this delivery is being changed by others: repeat the request")

    async def stage() -> tuple[UnitOfWork | None, Delivery | None]:
        loaded = await services.store.load_delivery(delivery_id)
        if loaded is None:
            raise conflict
        unit = services.unit_of_work(loaded.record.job[0])
        due_ms = (await load_dues(services.store, [loaded.record]))[delivery_id]
        if is_busy(loaded.record, due_ms, now_ms=unit.now_ms):
            raise _in_flight()
        marked = Loaded(replace(loaded.record, resend=True), loaded.raw)
        destination = (await find_destinations(services, [marked.record]))[delivery_id]
        if destination.refusal:
            return None, None
        return unit, start_again(unit, marked, due_ms, lane=destination.lane, how="first")

    return await retrying(services.store.committer, stage, conflict=conflict)


def _in_flight() -> Conflict:
    return Conflict("an attempt of this event is in flight: repeat the request when it has ended")
