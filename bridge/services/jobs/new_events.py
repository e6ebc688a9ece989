"""Write a transition: the job's records, the records of its new events, and the deliveries of these."""

from typing import Final

from bridge.domain.deliveries.records import new_delivery
from bridge.domain.events.event import build_event
from bridge.domain.events.records import EventRecord
from bridge.domain.jobs.callbacks import callbacks_by_id
from bridge.domain.jobs.outcome import NewEvent, PollContext, Transition
from bridge.domain.jobs.poll_history import previous_poll_ms
from bridge.domain.jobs.records import Job, is_running
from bridge.domain.jobs.watches import group_key, list_groups_to_wake
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.jobs.endpoint_fanout import deliver_to_endpoints, list_callbacks_in_event
from bridge.services.jobs.known_children import list_named_parts, list_syncs
from bridge.services.subscriptions.delivery_lane import lane_of
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork

GROUP_AFTER_MS: Final = 200  # so that a group looks once at members that end together


def write_advance(
    services: Services,
    unit: UnitOfWork,
    key: str,
    loaded: Loaded[Job] | None,
    *,
    moved: Transition,
    at: PollContext,
    table: EndpointTable,
) -> None:
    """Add a job that changed to a unit of work: its records, new events, and a delivery for whoever hears of them.

    `loaded` is None for one that has no record yet.
    `table` holds the project's endpoints; the unit must require that they are still these.
    """
    before = loaded.record if loaded else moved.job
    unit.put_job(key, moved.job, loaded)
    unit.put_log(key, moved.log)
    if is_running(moved.job):
        unit.expect(key, moved.job, services.durations.late_ms(moved.job, moved.log))
    elif is_running(before) and moved.delay_ms is not None:
        unit.expect(key, moved.job, None)
    if moved.data is not None:
        unit.put_object(key, moved.data)
        unit.add(list_named_parts(key, moved.job, moved.data))
    unit.add(list_syncs(services, key, moved, now_ms=at.now_ms))
    listed = list_callbacks_in_event(moved.job) if moved.new_events and table.by_id else b""
    for new_event in moved.new_events:
        event = _build_record(before, key, moved, new_event, at, listed=listed)
        unit.put_event(event)
        deliver_to_endpoints(unit, table, event, job=moved.job)
    _add_deliveries(services, unit, key, moved)
    for name in list_groups_to_wake(before, moved.job, has_news=bool(moved.new_events)):
        group = group_key(key[0], moved.job.account, name)
        unit.poll_at(group, moved.job, GROUP_AFTER_MS, how="sooner")


def _add_deliveries(services: Services, unit: UnitOfWork, key: str, moved: Transition) -> None:
    """Add a delivery for each notification, due now, in the lane of its subscription's URL."""
    callbacks, project = callbacks_by_id(moved.job), moved.job.project
    wanted = [(each, callbacks[each.callback]) for each in moved.notifications]
    for each, to in wanted:
        delivery = new_delivery(
            event=each.event,
            job=key,
            subscription=to.id,
            project=project,
            lane=lane_of(services.store.vault, project, to),
            now_ms=unit.now_ms,
            late=each.late,
        )
        unit.add_delivery(delivery, 0)


def find_lag_ms(before: Job, moved: Transition, at: PollContext) -> int:
    """Return for how long at most what a poll showed had been so: since the poll before, or the job's registration."""
    if at.lag_max_ms is not None:
        return at.lag_max_ms
    return max(0, at.now_ms - (previous_poll_ms(moved.log) or before.born_ms))


def _build_record(
    before: Job, key: str, moved: Transition, new_event: NewEvent, at: PollContext, *, listed: bytes
) -> EventRecord:
    """Return an event's record; `listed` is the JSON of the job's callbacks, empty where no endpoint could hear it."""
    body = build_event(
        CATALOGUE,
        new_event.draft.fact,
        event_id=new_event.event,
        at_ms=at.now_ms,
        sequence=new_event.sequence,
        polls=moved.log.polls,
        lag_max_ms=find_lag_ms(before, moved, at),
        source="last_seen" if new_event.draft.fact.gone else at.source,
    )
    return EventRecord(
        id=new_event.event,
        type=new_event.draft.type,
        project=before.project,
        job=key,
        at_ms=at.now_ms,
        body=body,
        job_callbacks=listed,
    )
