"""One attempt of a delivery: load what it takes, post it, and return what the receiver answered."""

from collections.abc import Sequence

import structlog
from msgspec import Struct

from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.deliveries.retry import ReceiverAnswer
from bridge.domain.events.records import EventRecord
from bridge.domain.subscriptions.subscription import Subscription
from bridge.services.context import Services
from bridge.services.deliveries.request import RequestBuilder
from bridge.services.subscriptions.lookup import find_subscription
from bridge.store.records import Loaded, RecordBatch, Wanted
from bridge.store.store import Store
from bridge.store.vault import VaultError

log = structlog.get_logger()


class ReadyDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """A delivery with its event and its subscription; it must wait for `hold_ms` more."""

    delivery: Loaded[Delivery]
    event: EventRecord
    subscription: Subscription
    hold_ms: int = 0


async def load_ready(store: Store, ids: Sequence[str]) -> dict[str, ReadyDelivery]:
    """Load deliveries by id, in two round trips; those that need no attempt any more are left out."""
    deliveries = (await store.load_many(Wanted(deliveries=ids))).deliveries
    records = [each.record for each in deliveries.values()]
    page = await store.load_many(
        Wanted(
            events=[each.event for each in records],
            jobs=[each.job for each in records],
            holds=[each.subscription for each in records if each.tries == 0],
        )
    )
    found = ((identifier, _prepare(delivery, page)) for identifier, delivery in deliveries.items())
    return {identifier: ready for identifier, ready in found if ready is not None}


def _prepare(loaded: Loaded[Delivery], page: RecordBatch) -> ReadyDelivery | None:
    delivery = loaded.record
    if delivery.state in (DeliveryState.SUCCEEDED, DeliveryState.CANCELLED):
        return None
    event, subscription = page.events.get(delivery.event), find_subscription(delivery, page)
    if event is None or subscription is None or (subscription.is_stopped and not delivery.resend):
        return None
    return ReadyDelivery(
        delivery=loaded,
        event=event.record,
        subscription=subscription,
        hold_ms=page.holds.get(subscription.id, 0),
    )


class Attempts:
    """Makes attempts; what was sent to the inbox counts as answered with 200."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._request_builder = RequestBuilder(services)

    async def make(self, ready: ReadyDelivery, *, now_ms: int) -> ReceiverAnswer:
        """Post a delivery, signed at `now_ms`, and return the answer; no failure is raised but the store's."""
        services = self._services
        try:
            request = await self._request_builder.build(
                ready.event, ready.subscription, resend=ready.delivery.record.resend, now_ms=now_ms
            )
        except VaultError as error:
            return _unopened(error)
        if ready.subscription.origin == INBOX:
            await services.store.inbox.add(ready.event.project, request.as_inbox_entry(now_ms))
            return _kept_in_inbox()
        return await services.sender.post(
            request.url,
            headers=request.headers,
            body=request.body,
            timeout_s=services.settings.attempt_timeout,
        )


def _kept_in_inbox() -> ReceiverAnswer:
    return ReceiverAnswer(
        status=200,
        failure=None,
        reason="kept in the inbox",
        duration_ms=0,
        retry_after_s=None,
        content_type="application/json",
        excerpt="",
    )


def _unopened(error: VaultError) -> ReceiverAnswer:
    """Return the answer of an attempt that failed on our side: a stored secret of this receiver does not open."""
    log.error("delivery.unopened", error=type(error).__name__)
    return ReceiverAnswer(
        status=None,
        failure="internal",
        reason="Not sent: what is stored of this receiver does not open; the operator checks REELBRIDGE_MASTER_KEYS.",
        duration_ms=0,
        retry_after_s=None,
        content_type="",
        excerpt="",
    )
