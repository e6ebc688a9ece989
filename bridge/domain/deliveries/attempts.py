"""Attempts in a delivery's record: those that end as planned, and those that a change of the delivery has left behind.

At most one attempt of a delivery is in flight. A change in the middle of one leaves it behind: nothing of its answer but
a 2xx counts any more, and the next attempt begins when it has ended, or when its lease has if no result comes.
"""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from bridge.domain.deliveries.records import Attempt, Delivery, DeliveryState
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict

ATTEMPTS_KEPT: Final = 20


def record_attempt(delivery: Delivery, answer: ReceiverAnswer, verdict: Verdict, *, at_ms: int) -> Delivery:
    """Write one attempt into a delivery; an extra one, which a person asked for, does not count in the schedule."""
    attempt = Attempt(
        at_ms=at_ms,
        status=answer.status,
        failure=answer.failure,
        reason=answer.reason,
        duration_ms=answer.duration_ms,
        excerpt=answer.excerpt,
        body=answer.body,
    )
    extra = delivery.resume_ms > 0
    return replace(
        delivery,
        attempts=_keep((*delivery.attempts, attempt)) if delivery.attempts else (attempt,),
        tries=delivery.tries + 1,
        step=delivery.step if extra else delivery.step + 1,
        refusals=delivery.refusals + (verdict is Verdict.REFUSED and not extra),
        busy_ms=0,
    )


def leave_attempt(delivery: Delivery, due_ms: int | None) -> Delivery:
    """Return a delivery that leaves its attempt in flight behind; `due_ms` is negative if there is one, see `Lanes`."""
    return replace(delivery, busy_ms=-due_ms) if due_ms is not None and due_ms < 0 else delivery


def is_busy(delivery: Delivery, due_ms: int | None, *, now_ms: int) -> bool:
    """Whether an attempt of a delivery is in flight, left behind or not."""
    return max(-(due_ms or 0), delivery.busy_ms) > now_ms


def add_extra(delivery: Delivery, due_ms: int | None, *, now_ms: int) -> Delivery:
    """Return a delivery with one more attempt, before the schedule goes on where it stands."""
    if due_ms is not None and due_ms > now_ms and not delivery.resume_ms and delivery.busy_ms <= now_ms:
        return replace(delivery, resume_ms=due_ms)
    return leave_attempt(delivery, due_ms)


def next_attempt_ms(delivery: Delivery, due_ms: int | None, *, now_ms: int) -> int | None:
    """Return when the next attempt is due; negative while one is in flight, left behind or not, None when none comes.

    A lease that has ended and that nobody took over is an attempt whose worker died: it is due since then.
    """
    if delivery.busy_ms > now_ms:
        return -delivery.busy_ms
    return -due_ms if due_ms is not None and -now_ms <= due_ms < 0 else due_ms


def move_to(delivery: Delivery, lane: str) -> Delivery:
    """Return a delivery that goes elsewhere; its earlier attempts keep where they went."""
    if lane == delivery.lane:
        return delivery
    attempts = tuple(_went_to(each, each.lane or delivery.lane, lane) for each in delivery.attempts)
    return replace(delivery, lane=lane, attempts=attempts)


def add_late(delivery: Delivery, late: Delivery, *, now_ms: int) -> Delivery:
    """Return a delivery with the last attempt of `late`, as which a worker whose lease had ended would have written it.

    After a 2xx the receiver has the event, so nothing more is sent. Any other answer was not waited for: it takes no
    step of the schedule. The same attempt is added once.
    """
    attempt = late.attempts[-1]
    attempt = _went_to(attempt, attempt.lane or late.lane, delivery.lane)
    if attempt in delivery.attempts:
        return delivery
    added = replace(delivery, attempts=_keep((*delivery.attempts, attempt)), tries=delivery.tries + 1)
    if late.state is not DeliveryState.SUCCEEDED or delivery.state is DeliveryState.SUCCEEDED:
        return added
    return replace(added, state=DeliveryState.SUCCEEDED, resend=False, resume_ms=0, reason="", done_ms=now_ms)


def _went_to(attempt: Attempt, went: str, goes: str) -> Attempt:
    return replace(attempt, lane="" if went == goes else went)


def _keep(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    return tuple(sorted(attempts, key=lambda attempt: attempt.at_ms)[-ATTEMPTS_KEPT:])
