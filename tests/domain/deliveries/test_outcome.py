"""What an attempt says of its URL, and what of its origin."""

from typing import Any

import pytest

from bridge.domain.deliveries.outcome import (
    ANSWERED,
    BROKEN,
    REFUSED,
    TIMED_OUT,
    UNREACHED,
    UNSENT,
    outcome_of,
)
from bridge.domain.deliveries.retry import ReceiverAnswer, judge


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"status": 200}, ANSWERED),
        ({"status": 200, "content_type": "text/html"}, ANSWERED),  # the host answered, whoever speaks there
        ({"status": 404}, REFUSED),
        ({"status": 409}, REFUSED),
        ({"status": 410}, REFUSED),
        ({"status": 500, "duration_ms": 999}, REFUSED),
        ({"status": 500, "duration_ms": 1000}, TIMED_OUT),  # it keeps others waiting as one that hangs does
        ({"failure": "timeout", "duration_ms": 900}, TIMED_OUT),
        ({"failure": "reset"}, BROKEN),
        ({"failure": "header"}, BROKEN),
        ({"failure": "timeout", "connected": False}, UNREACHED),
        ({"failure": "connect", "connected": False}, UNREACHED),
        ({"failure": "dns", "connected": False}, UNREACHED),
        ({"failure": "tls_expired", "connected": False}, UNREACHED),
        ({"failure": "refused_address", "connected": False}, UNSENT),
        ({"failure": "internal"}, UNSENT),
    ],
)
def test_each_answer_has_its_outcome(facts: dict[str, Any], outcome: str) -> None:
    """Answers and time-outs are the URL's, failures to connect the origin's."""
    given: dict[str, Any] = {"status": None, "failure": None, "duration_ms": 1, "content_type": "", **facts}
    answer = ReceiverAnswer(reason="", retry_after_s=None, excerpt="", **given)
    assert outcome_of(answer, judge(answer)) == outcome
