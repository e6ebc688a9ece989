"""After an attempt: settle the delivery, plan the next try, park it, or stop the subscription that answered 410."""

import random

from msgspec.structs import replace

from bridge.domain.deliveries.attempts import record_attempt
from bridge.domain.deliveries.lanes import INBOX, read_origin
from bridge.domain.deliveries.outcome import OFFLINE, UNREACHED, UNSENT, outcome_of
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict
from bridge.domain.deliveries.schedule import plan_next
from bridge.domain.ids import is_endpoint, read_request_id
from bridge.domain.subscriptions.endpoint import DISABLED
from bridge.http.yielding import let_others_run
from bridge.services.context import Services
from bridge.services.deliveries.endpoint_watch import watch_endpoint
from bridge.services.deliveries.gone import REASON, stop_gone
from bridge.services.deliveries.notices import DISABLED as DISABLED_EVENT
from bridge.services.deliveries.notices import park_and_tell, tell_of_endpoint
from bridge.services.subscriptions.endpoints import disable, has_url
from bridge.store.queue.lanes import Settled
from bridge.store.queue.settling import settle_attempt
from bridge.store.records import UNREADABLE_RETRY_MS, Loaded

BLOCKED_FOR_MS = 86_400_000


async def after_attempt(
    services: Services,
    loaded: Loaded[Delivery],
    token: bytes,
    answer: ReceiverAnswer,
    verdict: Verdict,
    *,
    at_ms: int,
    others: int = 0,
) -> Settled:
    """Return what the pump must settle; `others` is how many more deliveries wait for this URL.

    A 410 stops the subscription in a step of its own, which takes the delivery off its lane. It is settled all the same,
    so that the attempt no longer counts as in flight at its origin. Without its lease a 410 stops nothing: the
    subscription may have another URL by now. An endpoint with another URL is not disabled; one that is keeps its events.
    """
    await let_others_run()
    delivery = record_attempt(loaded.record, answer, verdict, at_ms=at_ms)
    outcome = _judge_outcome(services, delivery.lane, outcome_of(answer, verdict), at_ms=at_ms)
    if verdict is Verdict.GONE and is_endpoint(delivery.subscription):
        return await _end_endpoint(services, loaded.record, delivery, token, outcome)
    if verdict is Verdict.GONE:
        if await stop_gone(services, delivery, token):
            return Settled(delivery.lane, delivery.id, token, None, outcome=outcome)
        return settle_attempt(delivery, loaded.record, token, None, outcome=outcome)
    if is_endpoint(delivery.subscription):
        await watch_endpoint(services, loaded.record, outcome)
    delivery, delay_ms = plan_next(
        delivery,
        answer,
        verdict,
        schedule_s=services.settings.retry_schedule,
        now_ms=services.clock_ms(),
        roll=random.random(),  # noqa: S311  # spreads retries, guards nothing
        others=others,
    )
    if delivery.state is DeliveryState.PARKED:
        services.store.tallies.note_parked(delivery.project, now_ms=at_ms)
    if delivery.state is DeliveryState.PARKED and await park_and_tell(services, loaded, delivery, token):
        return Settled(delivery.lane, delivery.id, token, None, outcome=outcome)
    return settle_attempt(delivery, loaded.record, token, delay_ms, outcome=outcome)


def find_request_id(delivery: Delivery) -> str | None:
    """Return the id of the request that registered a delivery's callback; None for an endpoint's."""
    return None if is_endpoint(delivery.subscription) else read_request_id(delivery.subscription)


def count_attempt(services: Services, before: Delivery, answer: ReceiverAnswer, verdict: Verdict) -> None:
    """Count an attempt for people; of a first one also how long after its event it ended."""
    now_ms = services.clock_ms()
    is_first = not (before.tries or before.resend)
    services.store.tallies.note_attempt(
        before.project,
        verdict=verdict.value,
        endpoint=before.subscription if is_endpoint(before.subscription) else "",
        ok=answer.status is not None and 200 <= answer.status < 300,
        lag_ms=now_ms - before.created_ms if is_first else None,
        now_ms=now_ms,
    )


def _judge_outcome(services: Services, lane: str, outcome: str, *, at_ms: int) -> str:
    """Return an attempt's outcome; where no host at all can be reached lately that is not held against this one."""
    if outcome == UNSENT or read_origin(lane) == INBOX:
        return outcome
    services.reachability.note(read_origin(lane), reached=outcome != UNREACHED, now_ms=at_ms)
    is_doubtful = outcome == UNREACHED and services.reachability.is_doubtful(services.clock_ms())
    return OFFLINE if is_doubtful else outcome


async def _end_endpoint(
    services: Services, before: Delivery, delivery: Delivery, token: bytes, outcome: str
) -> Settled:
    """Disable an endpoint that answered 410, and park the delivery; with another URL by now it is sent there at once."""
    whose = (delivery.project, delivery.subscription)
    disabled = await disable(services, *whose, lane=delivery.lane, reason=REASON)
    if disabled is not None:
        await tell_of_endpoint(services, disabled, delivery, DISABLED_EVENT, trouble=None)
    delay_ms: int | None = 0
    if disabled is not None or await has_url(services, *whose, lane=delivery.lane):
        delivery = _park(delivery, REASON, services.clock_ms())
        delay_ms = None
    return settle_attempt(delivery, before, token, delay_ms, outcome=outcome)


def put_off_blocked(delivery: Delivery, *, now_ms: int) -> tuple[Delivery, int | None]:
    """Return a delivery whose event or job cannot be read, and the delay of its next try: parked once it is a day old.

    Until then it waits, as another version of the bridge may be able to read them.
    """
    if now_ms - delivery.created_ms < BLOCKED_FOR_MS:
        return delivery, UNREADABLE_RETRY_MS
    reason = (
        "not sent: what is stored of its event or its job cannot be read; the operator's log names the record"
    )
    return _park(delivery, reason, now_ms), None


def park_disabled(delivery: Delivery, *, now_ms: int) -> tuple[Delivery, None]:
    """Return a delivery whose endpoint is switched off, parked, and that it leaves the queue."""
    return _park(delivery, DISABLED, now_ms), None


def _park(delivery: Delivery, reason: str, now_ms: int) -> Delivery:
    return replace(delivery, state=DeliveryState.PARKED, reason=reason, done_ms=now_ms)


def end_stranded(delivery: Delivery, *, now_ms: int) -> tuple[Delivery, None]:
    """Return a delivery whose event or subscription is no longer there, cancelled, and that it leaves the queue."""
    whose = "endpoint" if is_endpoint(delivery.subscription) else "callback"
    reason = f"its {whose} was deleted, or its event and {whose} are no longer kept"
    return replace(delivery, state=DeliveryState.CANCELLED, reason=reason, done_ms=now_ms), None
