"""After an attempt: settle the delivery, plan the next try, park it, or stop the subscription that answered 410."""

import random

from msgspec.structs import replace

from bridge.domain.deliveries.outcome import SUCCESSES, outcome_of
from bridge.domain.deliveries.records import Attempt, Delivery, DeliveryState
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, is_unanswered, plan_retry, skip_quick
from bridge.services.context import Services
from bridge.services.deliveries.gone import stop_gone
from bridge.store.queue.lanes import Settled
from bridge.store.records import UNREADABLE_RETRY_MS, Loaded, unpack
from bridge.store.unit_of_work import UnitOfWork, pack_delivery, retrying

ATTEMPTS_KEPT = 20
BLOCKED_FOR_MS = 86_400_000


async def after_attempt(
    services: Services,
    loaded: Loaded[Delivery],
    token: bytes,
    answer: ReceiverAnswer,
    verdict: Verdict,
    *,
    at_ms: int,
) -> Settled:
    """Return what the pump must settle.

    A 410 stops the subscription in a step of its own, which takes the delivery off its lane. It is settled all the same,
    so that the attempt no longer counts as in flight at its origin.
    """
    delivery = _record(loaded.record, answer, verdict, at_ms=at_ms)
    outcome = outcome_of(answer, verdict)
    if verdict is Verdict.GONE:
        await stop_gone(services, loaded, delivery)
        return Settled(delivery.lane, delivery.id, token, None, outcome=outcome)
    delivery, delay_ms = _plan(services, delivery, answer, verdict)
    return Settled(
        lane=delivery.lane,
        member=delivery.id,
        token=token,
        delay_ms=delay_ms,
        records=(pack_delivery(delivery),),
        outcome=outcome,
    )


def _record(delivery: Delivery, answer: ReceiverAnswer, verdict: Verdict, *, at_ms: int) -> Delivery:
    """Write one attempt into a delivery; an extra one asked for by a person takes no step of the schedule."""
    attempt = Attempt(
        at_ms=at_ms,
        status=answer.status,
        failure=answer.failure,
        reason=answer.reason,
        duration_ms=answer.duration_ms,
        excerpt=answer.excerpt,
    )
    extra = delivery.resume_ms > 0
    return replace(
        delivery,
        attempts=(*delivery.attempts[-(ATTEMPTS_KEPT - 1) :], attempt),
        tries=delivery.tries + 1,
        step=delivery.step if extra else delivery.step + 1,
        refusals=delivery.refusals + (verdict is Verdict.REFUSED),
    )


def _plan(
    services: Services, delivery: Delivery, answer: ReceiverAnswer, verdict: Verdict
) -> tuple[Delivery, int | None]:
    now_ms = services.clock_ms()
    if verdict in SUCCESSES:
        return replace(
            delivery, state=DeliveryState.SUCCEEDED, resend=False, resume_ms=0, reason="", done_ms=now_ms
        ), None
    if verdict is Verdict.FINISHED:
        reason = "the receiver says that what waited for this has finished"
        return replace(delivery, state=DeliveryState.CANCELLED, reason=reason, done_ms=now_ms), None
    if delivery.resume_ms > now_ms:
        return replace(delivery, resume_ms=0), delivery.resume_ms - now_ms
    schedule = services.settings.retry_schedule
    if is_unanswered(answer):
        delivery = replace(delivery, step=skip_quick(schedule, delivery.step))
    delay_s = plan_retry(
        schedule,
        attempts=max(1, delivery.step),
        refusals=delivery.refusals,
        verdict=verdict,
        retry_after_s=answer.retry_after_s,
        roll=random.random(),  # noqa: S311  # spreads retries, guards nothing
    )
    if delay_s is None:
        reason = f"gave up after {delivery.tries} attempts: {answer.reason}"
        return replace(delivery, state=DeliveryState.PARKED, reason=reason, done_ms=now_ms), None
    return replace(delivery, state=DeliveryState.PENDING, resume_ms=0), round(delay_s * 1000)


def put_off_blocked(delivery: Delivery, *, now_ms: int) -> tuple[Delivery, int | None]:
    """Return a delivery whose event or job cannot be read, and the delay of its next try: parked once it is a day old.

    Until then it waits, as another version of the bridge may be able to read them.
    """
    if now_ms - delivery.created_ms < BLOCKED_FOR_MS:
        return delivery, UNREADABLE_RETRY_MS
    reason = (
        "not sent: what is stored of its event or its job cannot be read; the operator's log names the record"
    )
    return replace(delivery, state=DeliveryState.PARKED, reason=reason, done_ms=now_ms), None


async def finish_late(services: Services, settled: Settled) -> None:
    """Take a 2xx whose lease had ended: the receiver has the event, so nothing more is sent."""
    if not settled.records:
        return
    late = unpack(Delivery, settled.records[0][1])
    if late.state is not DeliveryState.SUCCEEDED:
        return

    async def stage() -> tuple[UnitOfWork | None, None]:
        found = await services.store.load_delivery(late.id)
        if found is None or found.record.state is DeliveryState.SUCCEEDED:
            return None, None
        unit = services.unit_of_work(late.id[4])
        attempts = (*found.record.attempts[-(ATTEMPTS_KEPT - 1) :], late.attempts[-1])
        unit.put_delivery(replace(late, attempts=attempts, tries=found.record.tries + 1), found)
        unit.drop_attempt(late)
        return unit, None

    await retrying(services.store.committer, stage)
