"""Make one attempt of a delivery: load its records, post the request, return the receiver's answer."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.deliveries.records import Delivery, DeliveryState, hash_body
from bridge.domain.deliveries.retry import ReceiverAnswer
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import is_endpoint
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.subscription import Subscription
from bridge.http.yielding import let_others_run
from bridge.services.context import Services
from bridge.services.deliveries.request import RequestBuilder
from bridge.services.subscriptions.lookup import Tables, find_subscription, list_companions, load_tables
from bridge.store.records import Loaded, RecordBatch, UnreadableRecord, Wanted
from bridge.store.store import Store
from bridge.store.vault import VaultError

NEW_MS = 15_000  # longer than a slow disk keeps anything waiting; after that an endpoint hears all the same
log = structlog.get_logger()


class ReadyDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """A delivery with its event and subscription; its attempt must wait for another `hold_ms` milliseconds.

    `is_new`: it is the first attempt to tell an endpoint of a job that was registered a moment ago. It must wait until the
    job is on disk: one that a killed store loses, before the client was told that it is registered, is registered anew,
    and the events of the new one have other ids. `companions` have the same URL and sign it too, see `list_companions`.
    """

    delivery: Loaded[Delivery]
    event: EventRecord
    subscription: Subscription
    companions: Sequence[Subscription] = ()
    hold_ms: int = 0
    is_new: bool = False

    @property
    def may_be_over(self) -> bool:
        """Whether the receiver, which takes one call, may have been told `.timed_out` by it and be gone."""
        return self.delivery.record.late and self.subscription.takes_one_call

    @property
    def has_moved(self) -> bool:
        """Whether its endpoint has another URL by now, so that it waits in the wrong lane."""
        to = self.subscription
        return isinstance(to, Endpoint) and to.lane != self.delivery.record.lane

    @property
    def is_disabled(self) -> bool:
        """Whether its endpoint is switched off; what a person asked for is sent all the same."""
        to = self.subscription
        return isinstance(to, Endpoint) and not to.enabled and not self.delivery.record.resend


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDeliveries:
    """What a page of deliveries comes to, by id; those that are over are in none of the five.

    `disabled` are not sent because their endpoint is switched off.
    `unreadable` have a record that cannot be read. `blocked` cannot be sent because their event's or job's record cannot
    be read, `stranded` because their event or subscription is no longer there.
    """

    ready: dict[str, ReadyDelivery]
    disabled: dict[str, Loaded[Delivery]]
    blocked: dict[str, Loaded[Delivery]]
    stranded: dict[str, Loaded[Delivery]]
    unreadable: Collection[str]


async def load_ready(store: Store, ids: Sequence[str], *, now_ms: int) -> LoadedDeliveries:
    """Load deliveries by id, in two round trips."""
    first = await store.load_many(Wanted(deliveries=ids))
    deliveries = {
        identifier: loaded for identifier, loaded in first.deliveries.items() if not _is_over(loaded.record)
    }
    records = [each.record for each in deliveries.values()]
    page = await store.load_many(
        Wanted(
            events=[each.event for each in records],
            jobs=[each.job for each in records],
            holds=[
                each.subscription
                for each in records
                if each.tries == 0 and not is_endpoint(each.subscription)
            ],
            epochs=sorted({each.project for each in records}),
        )
    )
    tables = await load_tables(store, page)
    kept = LoadedDeliveries(ready={}, disabled={}, blocked={}, stranded={}, unreadable=first.unreadable)
    for identifier, loaded in deliveries.items():
        prepared = _prepare(loaded, page, tables, is_new=_is_new(loaded.record, page, now_ms))
        if prepared is None:
            needs = (loaded.record.event, loaded.record.job)
            (kept.stranded if page.unreadable.isdisjoint(needs) else kept.blocked)[identifier] = loaded
        elif prepared.is_disabled:
            kept.disabled[identifier] = loaded
        else:
            kept.ready[identifier] = prepared
    return kept


def _is_new(delivery: Delivery, page: RecordBatch, now_ms: int) -> bool:
    job = page.jobs.get(delivery.job)
    is_first = not delivery.tries and is_endpoint(delivery.subscription)
    return is_first and job is not None and now_ms - job.record.born_ms < NEW_MS


def _is_over(delivery: Delivery) -> bool:
    return delivery.state in (DeliveryState.SUCCEEDED, DeliveryState.CANCELLED)


def _prepare(
    loaded: Loaded[Delivery], page: RecordBatch, tables: Tables, *, is_new: bool
) -> ReadyDelivery | None:
    delivery = loaded.record
    event, subscription = page.events.get(delivery.event), find_subscription(delivery, page, tables)
    if event is None or subscription is None or (subscription.is_stopped and not delivery.resend):
        return None
    return ReadyDelivery(
        delivery=loaded,
        event=event.record,
        subscription=subscription,
        companions=list_companions(delivery, subscription, page, tables),
        hold_ms=page.holds.get(subscription.id, 0),
        is_new=is_new,
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
                companions=ready.companions,
                resend=ready.delivery.record.resend,
                late=ready.delivery.record.late,
                now_ms=now_ms,
            )
        except (VaultError, UnreadableRecord) as error:
            return _unusable(error)
        if ready.subscription.origin == INBOX:
            await services.store.inbox.add(ready.event.project, request.as_inbox_entry(now_ms))
            return _inbox_answer()
        await let_others_run()
        answer = await services.sender.post(
            request.url,
            headers=request.headers,
            body=request.body,
            timeout_s=services.settings.attempt_timeout,
        )
        return replace(answer, body=hash_body(request.body))


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


def _unusable(error: VaultError | UnreadableRecord) -> ReceiverAnswer:
    """Return the result of an attempt that was not sent because a stored secret cannot be read or decrypted."""
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
