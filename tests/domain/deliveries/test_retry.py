"""What an answer means, and when the next attempt is due."""

import random
from collections import Counter
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridge.domain.deliveries.retry import (
    ReceiverAnswer,
    Verdict,
    explain_status,
    is_unanswered,
    judge,
    plan_retry,
    read_retry_after,
    skip_quick,
    spread_herd,
)

SCHEDULE = (2.0, 5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


def _answer(status: int | None, *, content_type: str = "", excerpt: str = "") -> ReceiverAnswer:
    failure = "timeout" if status is None else None
    return ReceiverAnswer(
        status=status,
        failure=failure,
        reason="",
        duration_ms=1,
        retry_after_s=None,
        content_type=content_type,
        excerpt=excerpt,
    )


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        *[(_answer(status), Verdict.SUCCEEDED) for status in (200, 201, 202, 204, 299)],
        (_answer(200, content_type="Text/HTML; charset=utf-8"), Verdict.SUCCEEDED_WITH_WARNING),
        (_answer(500, content_type="text/html"), Verdict.RETRY),
        *[(_answer(status), Verdict.RETRY) for status in (300, 301, 302, 303, 304, 307, 308)],
        *[(_answer(status), Verdict.REFUSED) for status in (401, 403, 405, 422)],
        *[
            (_answer(status), Verdict.RETRY)
            for status in (400, 404, 408, 409, 418, 425, 429, 500, 502, 503, 504, 599, 101)
        ],
        (_answer(410), Verdict.GONE),
        (_answer(409, excerpt='{"message":"The execution \\"7\\" has finished already."}'), Verdict.FINISHED),
        (
            _answer(409, excerpt='{"message":"The execution \\"7\\" has finished with error."}'),
            Verdict.FINISHED,
        ),
        (_answer(409, excerpt='{"message":"The execution \\"7\\" is running already."}'), Verdict.RETRY),
        (_answer(500, excerpt="finished already"), Verdict.RETRY),  # only a 409 may say it
        (_answer(None), Verdict.RETRY),
    ],
)
def test_each_answer_has_its_verdict(answer: ReceiverAnswer, verdict: Verdict) -> None:
    """The contract's table, a row each."""
    assert judge(answer) is verdict


@pytest.mark.parametrize("status", [409, 410])
def test_a_late_ending_that_comes_too_late_is_over(status: int) -> None:
    """A workflow that went on after `.timed_out` answers 409 or 410: no retry, and nothing is cancelled."""
    assert judge(_answer(status), may_be_over=True) is Verdict.FINISHED
    assert judge(_answer(404), may_be_over=True) is Verdict.RETRY
    assert judge(_answer(200), may_be_over=True) is Verdict.SUCCEEDED


def _delays(verdict: Verdict, schedule: tuple[float, ...] = SCHEDULE) -> list[float]:
    """Give all delays when every attempt ends alike."""
    delays: list[float] = []
    for attempts in range(1, 50):
        delay = plan_retry(
            schedule, attempts=attempts, refusals=attempts if verdict is Verdict.REFUSED else 0, verdict=verdict,
            retry_after_s=None, roll=0.0,
        )  # fmt: skip
        if delay is None:
            return delays
        delays.append(delay)
    raise AssertionError("never exhausted")


def test_failures_follow_the_schedule_to_its_end() -> None:
    """Twelve attempts in all, then the delivery is parked."""
    assert _delays(Verdict.RETRY) == list(SCHEDULE)


def test_a_refusal_gets_one_quick_try_and_then_only_slow_ones() -> None:
    """Each of the slow delays is used once."""
    assert _delays(Verdict.REFUSED) == [2.0, *SCHEDULE[4:]]
    assert _delays(Verdict.REFUSED, (0.1, 0.2)) == [0.1]  # no slow delay to use: parked
    assert _delays(Verdict.REFUSED, ()) == []


def test_refusals_after_other_failures_go_on_where_the_schedule_stands() -> None:
    """Delays that failures have used are not used again."""
    late = {"verdict": Verdict.REFUSED, "retry_after_s": None, "roll": 0.0}
    assert plan_retry(SCHEDULE, attempts=6, refusals=1, **late) == 7200.0  # type: ignore[arg-type] # a row of mixed keywords
    assert plan_retry(SCHEDULE, attempts=7, refusals=2, **late) == 18000.0  # type: ignore[arg-type] # as above
    assert plan_retry(SCHEDULE, attempts=12, refusals=2, **late) is None  # type: ignore[arg-type] # as above


@pytest.mark.parametrize(
    "verdict", [Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING, Verdict.GONE, Verdict.FINISHED]
)
def test_nothing_follows_a_final_verdict(verdict: Verdict) -> None:
    """A 2xx is final, and so is a receiver that is gone."""
    assert _delays(verdict) == []


@given(
    roll=st.floats(min_value=0, max_value=1, exclude_max=True),
    asked=st.one_of(st.none(), st.floats(min_value=0, max_value=1e12)),
    attempts=st.integers(min_value=1, max_value=11),
)
def test_nothing_makes_a_retry_earlier_and_nothing_delays_it_beyond_the_cap(
    roll: float, asked: float | None, attempts: int
) -> None:
    """Jitter adds at most a fifth; a receiver's wish lifts the delay to ten hours at most."""
    plain = plan_retry(
        SCHEDULE,
        attempts=attempts,
        refusals=0,
        verdict=Verdict.RETRY,
        retry_after_s=None,
        roll=0.0,
    )
    wished = plan_retry(
        SCHEDULE,
        attempts=attempts,
        refusals=0,
        verdict=Verdict.RETRY,
        retry_after_s=asked,
        roll=roll,
    )
    if plain is None:
        assert wished is None
        return
    assert wished is not None
    assert plain <= wished <= max(plain * 1.2, 36000.0)
    assert wished >= min(asked or 0.0, 36000.0)


def test_rolls_spread_the_retries_of_one_instant() -> None:
    """500 retries that fall due together do not leave together."""
    due = [
        plan_retry(SCHEDULE, attempts=3, refusals=0, verdict=Verdict.RETRY, retry_after_s=60.0, roll=n / 500)
        for n in range(500)
    ]
    assert len(set(due)) == 500
    assert all(a is not None and b is not None and a < b for a, b in pairwise(due))


@pytest.mark.parametrize(("attempts", "least_s", "most_s"), [(1, 2, 22.4), (3, 30, 56), (5, 1800, 2180)])
def test_a_herd_that_failed_in_one_second_does_not_come_back_in_one(
    attempts: int, least_s: float, most_s: float
) -> None:
    """1,000 deliveries to one URL: at most about 50 come in any second, where the plain jitter of 2 s is 0.4 s."""
    dice = random.Random(attempts)
    due = []
    for _ in range(1000):
        delay_s = plan_retry(
            SCHEDULE,
            attempts=attempts,
            refusals=0,
            verdict=Verdict.RETRY,
            retry_after_s=None,
            roll=dice.random(),
            others=999,
        )
        assert delay_s is not None
        due.append(delay_s)
    assert least_s <= min(due)
    assert max(due) <= most_s
    assert max(Counter(map(int, due)).values()) <= 75


def test_who_waits_alone_is_not_spread() -> None:
    """And a short delay stays short: ten times as long at most, a minute at most."""
    assert spread_herd(0, 2.0) == 0
    assert spread_herd(1_000_000, 2.0) == 20
    assert spread_herd(1_000_000, 1800.0) == 60


NOW_S = 1_790_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("1000000000", 1e9),  # the plan caps it
        ("5, 60", 60.0),
        (formatdate(NOW_S + 90, usegmt=True), 90.0),
        (formatdate(NOW_S - 90, usegmt=True), None),
        ("Wed, 21 Oct 2099 07:28:00", 4096250880.0 - NOW_S),  # no zone: RFC 9110 knows only GMT
        ("-5", None),
        ("1e9", None),
        ("9" * 400, None),
        ("", None),
        ("soon", None),
        ("Wed, 99 Foo 2099 07:28:00 GMT", None),
        ("\u0661\u0662", None),  # Arabic-Indic digits
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms_and_garbage_is_no_wish(
    value: str | None, seconds: float | None
) -> None:
    """Whatever a receiver writes, the result is a number of seconds or nothing."""
    assert read_retry_after(value, now_s=NOW_S) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_header_raises(value: str) -> None:
    """Garbage from outside stays harmless."""
    wait_s = read_retry_after(value, now_s=NOW_S)
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize("status", [101, 200, 204, 301, 400, 401, 404, 405, 410, 422, 429, 500, 599, 999])
def test_every_status_has_one_sentence_that_names_it(status: int) -> None:
    """A person reads the number and what to do."""
    text = explain_status(status, "application/json")
    assert str(status) in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("schedule", "attempts", "next_s"),
    [
        (SCHEDULE, 1, 300),
        (SCHEDULE, 3, 300),
        (SCHEDULE, 4, 300),  # that entry is this attempt's own
        (SCHEDULE, 5, 1800),
        (SCHEDULE, 11, 86400),
        ((1.0, 2.0, 3.0), 1, 3),  # no entry of five minutes: the last one
        ((1.0, 2.0, 3.0), 3, 3),
        ((1.0, 2.0, 3.0), 4, None),  # all used: parked, as after any failure
        ((400.0, 1.0), 2, 1),
    ],
)
def test_the_quick_tries_are_skipped_for_who_is_still_busy(
    schedule: tuple[float, ...], attempts: int, next_s: float | None
) -> None:
    """The next attempt comes after the first delay of at least five minutes, else the last one."""
    planned = plan_retry(
        schedule,
        attempts=skip_quick(schedule, attempts),
        refusals=0,
        verdict=Verdict.RETRY,
        retry_after_s=None,
        roll=0.0,
    )
    assert planned == next_s


def test_only_a_request_that_was_sent_whole_is_unanswered() -> None:
    """A receiver that never got it cannot be busy with it."""
    timeout = _answer(None)
    assert not is_unanswered(timeout)
    assert is_unanswered(structs.replace(timeout, sent=True))
    assert not is_unanswered(structs.replace(_answer(500), sent=True))
