"""What follows an attempt: nothing more, the next one and when, or parking."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.outcome import SUCCESSES
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.deliveries.retry import (
    ANSWER_LATER_S,
    ReceiverAnswer,
    Verdict,
    asked_delay,
    is_unanswered,
    plan_retry,
    skip_quick,
)

FINISHED: Final = "the receiver says that what waited for this has finished"


def plan_next(
    delivery: Delivery,
    answer: ReceiverAnswer,
    verdict: Verdict,
    *,
    schedule_s: Sequence[float],
    now_ms: int,
    roll: float,
) -> tuple[Delivery, int | None]:
    """Return a delivery after an attempt that is recorded in it, and the ms until the next one; None: none comes.

    `roll` is that of `plan_retry`. After an extra attempt, which a person asked for, the schedule goes on when it would
    have.
    """
    if verdict in SUCCESSES:
        return replace(
            delivery, state=DeliveryState.SUCCEEDED, resend=False, reason="", done_ms=now_ms, resume_ms=0
        ), None
    if verdict is Verdict.FINISHED:
        return replace(delivery, state=DeliveryState.CANCELLED, reason=FINISHED, done_ms=now_ms), None
    waits_ms = max(0, delivery.resume_ms - now_ms)
    delivery = replace(delivery, resume_ms=0)
    if waits_ms and (waits_ms >= ANSWER_LATER_S * 1000 or not is_unanswered(answer)):
        return delivery, max(waits_ms, round(asked_delay(answer.retry_after_s, roll) * 1000))
    if is_unanswered(answer):
        delivery = replace(delivery, step=skip_quick(schedule_s, delivery.step))
    delay_s = plan_retry(
        schedule_s,
        attempts=max(1, delivery.step),
        refusals=delivery.refusals,
        verdict=verdict,
        retry_after_s=answer.retry_after_s,
        roll=roll,
    )
    if delay_s is None:
        reason = f"gave up after {delivery.tries} attempts: {answer.reason}"
        return replace(delivery, state=DeliveryState.PARKED, reason=reason, done_ms=now_ms), None
    return replace(delivery, state=DeliveryState.PENDING), max(waits_ms, round(delay_s * 1000))
