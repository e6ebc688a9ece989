"""Tell a project's endpoints what became of deliveries and of other endpoints.

Such an event is written with the job of the delivery that led to it, and is kept as long as that. It is written only where an
endpoint asks for its type, and never to the endpoint that it is about.
"""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.event import Fact, build_event
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import event_id
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.domain.subscriptions.endpoint_trouble import EndpointTrouble, disabled_from_ms
from bridge.domain.times import iso_ms
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.services.jobs.endpoint_fanout import choose_table
from bridge.services.subscriptions.sealing import show_url
from bridge.store.commit import Lease
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.records import Loaded, UnreadableRecord
from bridge.store.unit_of_work import UnitOfWork, retrying

log = structlog.get_logger()

PARKED: Final = "delivery.parked"
FAILING: Final = "endpoint.failing"
DISABLED: Final = "endpoint.disabled"


async def park_and_tell(services: Services, before: Loaded[Delivery], parked: Delivery, token: bytes) -> bool:
    """Write a delivery that was given up together with the event that says so; return False, with nothing written, if nobody asks for it.

    What is parked of such events makes no others.
    """
    if not _list_receivers(await services.store.endpoints.table(parked.project), PARKED, parked.subscription):
        return False
    try:
        event = await services.store.load_event(parked.event)
    except UnreadableRecord:
        return False
    known = CATALOGUE.types.get(event.type) if event else None
    if event is None or known is None or known.service:
        return False
    data = {
        "id": parked.id,
        "status": "parked",
        "event_id": parked.event,
        "event_type": event.type,
        "subscription_id": parked.subscription,
        "attempts": parked.tries,
        "reason": parked.reason,
    }

    def stage(unit: UnitOfWork) -> None:
        unit.require_lease(Lease("dlv", parked.lane, parked.id, token))
        unit.put_delivery(parked, before)
        unit.drop_attempt(parked)

    fact = f"{PARKED} {parked.id} {parked.tries}"
    try:
        return await _tell(services, parked, PARKED, fact, data, about=parked.subscription, stage=stage)
    except (LeaseLost, WriteConflict):
        return False  # the pump settles it, as far as it is still its own


async def tell_of_endpoint(
    services: Services, endpoint: Endpoint, delivery: Delivery, type_: str, *, trouble: EndpointTrouble | None
) -> None:
    """Write the event that an endpoint is failing or was disabled, after a delivery to it."""
    now_ms = services.clock_ms()
    since_ms = trouble.since_ms if trouble else now_ms
    is_disabled = type_ == DISABLED
    data = {
        "id": endpoint.id,
        "status": "disabled" if is_disabled else "failing",
        "url": show_url(services.store.vault, endpoint),
        "reason": endpoint.disabled_reason if is_disabled else explain_trouble(since_ms, now_ms=now_ms),
        "failing_since": iso_ms(since_ms),
        "disabled_at": iso_ms(
            now_ms if is_disabled or trouble is None else max(now_ms, disabled_from_ms(trouble))
        ),
    }
    fact = f"{type_} {endpoint.id} {since_ms}"
    try:
        await _tell(services, delivery, type_, fact, data, about=endpoint.id, stage=lambda _: None)
    except WriteConflict:
        log.warning("endpoint.not_told", endpoint=endpoint.id, type=type_)


def explain_trouble(since_ms: int, *, now_ms: int) -> str:
    """Return in words how long an endpoint has answered nothing with 2xx."""
    days = (now_ms - since_ms) // 86_400_000
    return f"no event was answered with 2xx for {days} days"


def _list_receivers(table: EndpointTable, type_: str, about: str) -> list[Endpoint]:
    return [each for each in table.matching(type_, ending=False, persona="") if each.id != about]


async def _tell(
    services: Services,
    delivery: Delivery,
    type_: str,
    fact: str,
    data: Mapping[str, Any],
    *,
    about: str,
    stage: Any,
) -> bool:
    """Commit an event with its deliveries, and what `stage` adds; return whether anybody hears it."""
    again = False

    async def build() -> tuple[UnitOfWork | None, UnitOfWork | None]:
        nonlocal again
        unit = services.unit_of_work(delivery.job[0])
        table = await choose_table(services, delivery.project, unit.shard, again=again)
        again = True
        receivers = _list_receivers(table, type_, about)
        if not receivers:
            return None, None
        event = _make_event(delivery, type_, fact, data, now_ms=unit.now_ms)
        unit.put_event(event)
        unit.deliver_to(receivers, event)
        unit.require_endpoints(delivery.project, table)
        stage(unit)
        return unit, unit

    unit = await retrying(services.store.committer, build)
    if unit is None:
        return False
    await services.store.feed.publish(delivery.project, unit.events)
    return True


def _make_event(
    delivery: Delivery, type_: str, fact: str, data: Mapping[str, Any], *, now_ms: int
) -> EventRecord:
    """Return the record of a service event that is kept with the job of a delivery."""
    known = CATALOGUE.types[type_]
    identifier = event_id(
        project=delivery.project, key=delivery.job, born_ms=delivery.created_ms, run=0, fact=fact
    )
    told = Fact(
        word=known.word,
        kind=known.kind,
        job_id=data["id"],
        status=data["status"],
        outcome=None,
        error=None,
        summary=None,
        related={},
        data=data,
        run=1,
        late=False,
    )
    body = build_event(
        CATALOGUE,
        told,
        event_id=identifier,
        at_ms=now_ms,
        sequence=1,
        polls=0,
        lag_max_ms=None,
    )
    return EventRecord(
        id=identifier,
        type=type_,
        project=delivery.project,
        job=delivery.job,
        at_ms=now_ms,
        body=body,
        job_callbacks=b"[]",
    )
