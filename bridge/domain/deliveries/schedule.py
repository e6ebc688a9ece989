"""What follows an attempt: nothing more, the next one and when, or parking."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from bridge.domain.counts import say_count
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

LASTS: Final = 2  # a delivery is given up after so many times its schedule's length, for its URL's breaker may hold it up
LEAST_MS: Final = 3_600_000  # but not sooner
FINISHED: Final = "the receiver says that what waited for this has finished"


def plan_next(
    delivery: Delivery,
    answer: ReceiverAnswer,
    verdict: Verdict,
    *,
    schedule_s: Sequence[float],
    now_ms: int,
    roll: float,
    others: int = 0,
) -> tuple[Delivery, int | None]:
    """Return a delivery after an attempt that is recorded in it, and the ms until the next one; None: none comes.

    `roll` and `others` are those of `plan_retry`. After an extra attempt, which a person asked for, the schedule goes on when
    it would have. A delivery that an open breaker has held up for long ends with the attempt that came after twice the
    schedule's length.
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
        others=others,
    )
    if delay_s is None or now_ms >= gives_up_ms(delivery, schedule_s):
        reason = f"gave up after {say_count(delivery.tries, 'attempt')}: {answer.reason}"
        return replace(delivery, state=DeliveryState.PARKED, reason=reason, done_ms=now_ms), None
    return replace(delivery, state=DeliveryState.PENDING), max(waits_ms, round(delay_s * 1000))


def gives_up_ms(delivery: Delivery, schedule_s: Sequence[float]) -> int:
    """Return from when on a failed attempt is a delivery's last one, whatever its schedule has left."""
    began_ms = delivery.restarted_ms or delivery.created_ms
    return began_ms + max(LEAST_MS, round(LASTS * sum(schedule_s) * 1000))
