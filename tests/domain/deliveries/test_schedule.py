"""When the next attempt comes, by what the last one said."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.attempts import record_attempt
from bridge.domain.deliveries.records import Delivery, DeliveryState
from bridge.domain.deliveries.retry import ReceiverAnswer, judge
from bridge.domain.deliveries.schedule import gives_up_ms, plan_next

NOW_MS = 1_800_000_000_000
SCHEDULE_S = (2.0, 30.0, 400.0, 2000.0)
REFUSED, FAILED = {"status": 401}, {"status": 500}
UNANSWERED = {"failure": "timeout", "sent": True}
THROTTLED = {"status": 429, "retry_after_s": 50.0}
PENDING = Delivery(
    id="dlv_a",
    event="evt_a",
    job="a",
    subscription="cb_a",
    project="prj_a",
    lane="prj_a https://a.example 1",
    state=DeliveryState.PENDING,
    created_ms=NOW_MS,
)


def failed(*, age_s: float, restarted_s: float | None = None) -> Delivery:
    """Plan what follows the first failure of a delivery that was made, and perhaps restarted, so many seconds ago."""
    delivery = replace(
        PENDING,
        created_ms=NOW_MS - round(age_s * 1000),
        restarted_ms=0 if restarted_s is None else NOW_MS - round(restarted_s * 1000),
        step=1,
        tries=1,
    )
    answer = told(FAILED)
    return plan_next(delivery, answer, judge(answer), schedule_s=SCHEDULE_S, now_ms=NOW_MS, roll=0.0)[0]


@pytest.mark.parametrize(
    ("age_s", "restarted_s", "state"),
    [
        (2 * 2432 - 1, None, DeliveryState.PENDING),
        (2 * 2432, None, DeliveryState.PARKED),  # twice the schedule's length
        (10 * 2432, 100, DeliveryState.PENDING),  # somebody has started it again
    ],
)
def test_what_a_breaker_held_up_for_long_is_given_up_after_an_attempt(
    age_s: float, restarted_s: float | None, state: DeliveryState
) -> None:
    """Though its schedule has more: it would stay pending for months behind a thousand others."""
    assert failed(age_s=age_s, restarted_s=restarted_s).state is state


def test_a_short_schedule_does_not_give_up_within_the_hour() -> None:
    """Attempts take their time, so that twice its length could pass before its last one."""
    delivery = failed(age_s=0)
    assert gives_up_ms(delivery, (0.1, 0.2)) == NOW_MS + 3_600_000


def told(answer: Mapping[str, object]) -> ReceiverAnswer:
    """Return what a receiver answered."""
    return ReceiverAnswer(
        **{  # type: ignore[arg-type]  # a table of keyword arguments
            "status": None,
            "failure": None,
            "reason": "",
            "duration_ms": 1,
            "retry_after_s": None,
            "content_type": "",
            "excerpt": "",
            **answer,
        }
    )


def after_extra(waits_s: float, answer: dict[str, object], *, step: int = 1) -> tuple[Delivery, int | None]:
    """Record and plan an extra attempt of a delivery whose schedule goes on in so many seconds."""
    said = told(answer)
    delivery = replace(
        PENDING,
        step=step,
        refusals=1,
        resume_ms=NOW_MS + round(waits_s * 1000),
    )
    verdict = judge(said)
    recorded = record_attempt(delivery, said, verdict, at_ms=NOW_MS)
    return plan_next(recorded, said, verdict, schedule_s=SCHEDULE_S, now_ms=NOW_MS, roll=0.0)


@pytest.mark.parametrize(
    ("waits_s", "answer", "step", "delay_s"),
    [
        (2, FAILED, 1, 2),
        (2, REFUSED, 1, 2),
        (2, UNANSWERED, 1, 400),  # the receiver is busy with it: no quick repeat
        (299, UNANSWERED, 1, 400),
        (301, UNANSWERED, 1, 301),  # long enough
        (1800, UNANSWERED, 4, 1800),
        (2, THROTTLED, 1, 50),  # asked for by the receiver
        (60, THROTTLED, 1, 60),
    ],
)
def test_after_an_extra_attempt_the_schedule_goes_on_when_it_would_have(
    waits_s: float, answer: dict[str, object], step: int, delay_s: float
) -> None:
    """Unless the receiver asked for more time, or is at work on what it was sent."""
    delivery, delay_ms = after_extra(waits_s, answer, step=step)
    assert (delay_ms, delivery.resume_ms, delivery.state) == (delay_s * 1000, 0, DeliveryState.PENDING)
    assert (delivery.tries, delivery.refusals) == (1, 1)
