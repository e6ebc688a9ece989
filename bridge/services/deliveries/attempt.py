"""Make one attempt of a delivery: load its records, post the request, return the receiver's answer."""

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
    """A delivery with its event and subscription; its attempt must wait for another `hold_ms` milliseconds."""

    delivery: Loaded[Delivery]
    event: EventRecord
    subscription: Subscription
    hold_ms: int = 0

    @property
    def may_be_over(self) -> bool:
        """Whether the receiver, which takes one call, may have been told `.timed_out` by it and be gone."""
        return self.delivery.record.late and self.subscription.takes_one_call


async def load_ready(store: Store, ids: Sequence[str]) -> dict[str, ReadyDelivery]:
    """Load deliveries by id, in two round trips; those that need no further attempt are left out."""
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
    """Makes attempts; one to `inbox:` counts as answered with 200."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._request_builder = RequestBuilder(services)

    async def make(self, ready: ReadyDelivery, *, now_ms: int) -> ReceiverAnswer:
        """Post a delivery, signed at `now_ms`, and return the answer; raise nothing but the store's errors."""
        services = self._services
        try:
            request = await self._request_builder.build(
                ready.event,
                ready.subscription,
                resend=ready.delivery.record.resend,
                late=ready.delivery.record.late,
                now_ms=now_ms,
            )
        except VaultError as error:
            return _undecryptable(error)
        if ready.subscription.origin == INBOX:
            await services.store.inbox.add(ready.event.project, request.as_inbox_entry(now_ms))
            return _inbox_answer()
        return await services.sender.post(
            request.url,
            headers=request.headers,
            body=request.body,
            timeout_s=services.settings.attempt_timeout,
        )


def _inbox_answer() -> ReceiverAnswer:
    return ReceiverAnswer(
        status=200,
        failure=None,
        reason="Kept in the inbox.",
        duration_ms=0,
        retry_after_s=None,
        content_type="application/json",
        excerpt="",
    )


def _undecryptable(error: VaultError) -> ReceiverAnswer:
    """Return the result of an attempt that was not sent because a stored secret cannot be decrypted."""
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
