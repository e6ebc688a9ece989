"""What follows from a receiver's answers."""

import pytest
from msgspec.structs import replace

from bridge.domain.certification.steps import Case, CaseRequest
from bridge.domain.certification.verdicts import Result, judge_case, read_handled, skip_case
from bridge.domain.deliveries.retry import ReceiverAnswer

TAKEN = CaseRequest(event_id="evt_test_1", body=b"{}")
LEFT = CaseRequest(event_id="evt_test_1", body=b"{}", handled=False)
EITHER = CaseRequest(event_id="evt_test_1", body=b"{}", handled=None)
REFUSED = CaseRequest(event_id="evt_test_1", body=b"{}", handled=None, accepted=False)
YES, NO = '{"handled": true}', '{"handled":false}'


def answer(status: int | None, excerpt: str = "", *, duration_ms: int = 5) -> ReceiverAnswer:
    return ReceiverAnswer(
        status=status,
        failure=None if status else "timeout",
        reason="The receiver did not answer in time."
        if status is None
        else f"The receiver answered {status}.",
        duration_ms=duration_ms,
        retry_after_s=None,
        content_type="",
        excerpt=excerpt,
    )


@pytest.mark.parametrize(
    ("steps", "answers", "result"),
    [
        ([TAKEN], [answer(200)], "passed"),
        ([TAKEN], [answer(204)], "passed"),
        ([TAKEN], [answer(200, YES)], "passed"),
        ([TAKEN], [answer(200, NO)], "failed"),  # a valid event was not acted upon
        ([TAKEN], [answer(301)], "failed"),
        ([TAKEN], [answer(401)], "failed"),
        ([TAKEN], [answer(500)], "failed"),
        ([TAKEN], [answer(None)], "failed"),
        ([TAKEN], [answer(200, duration_ms=10_001)], "failed"),  # too slow
        ([EITHER], [answer(200, NO)], "passed"),
        ([REFUSED], [answer(401)], "passed"),
        ([REFUSED], [answer(400)], "passed"),
        ([REFUSED], [answer(200)], "failed"),
        ([REFUSED], [answer(500)], "failed"),  # it fell over instead of refusing, and would get it again
        ([REFUSED], [answer(302)], "failed"),
        ([REFUSED], [answer(None)], "failed"),
        ([TAKEN, LEFT], [answer(200), answer(200)], "unknown"),  # a status alone does not tell
        ([TAKEN, LEFT], [answer(200, YES), answer(200, NO)], "passed"),
        ([TAKEN, LEFT], [answer(200, YES), answer(200, YES)], "failed"),  # acted twice
        ([TAKEN, LEFT], [answer(200, YES), answer(409, NO)], "failed"),  # it would be sent again
        ([REFUSED, REFUSED], [answer(401), answer(200)], "failed"),  # one of two is enough
    ],
)
def test_a_case_is_judged_by_all_of_its_answers(
    steps: list[CaseRequest], answers: list[ReceiverAnswer], result: Result
) -> None:
    """Statuses first, then what the receiver says that it did."""
    judged = judge_case(Case(name="x", asks="do", fix="mend", hint="look", steps=steps), answers)
    assert judged.result == result
    assert judged.statuses == tuple(each.status for each in answers)
    assert bool(judged.fix) is (result != "passed")
    assert bool(judged.reason) is (result != "passed")


@pytest.mark.parametrize(
    ("status", "failure", "fix"),
    [
        (301, None, "the URL"),
        (404, None, "the URL"),
        (405, None, "the URL"),
        (None, "connect", "the URL"),
        (None, "dns", "the URL"),
        (None, "timeout", "mend"),
        (401, None, "mend"),
        (500, None, "mend"),
    ],
)
def test_where_no_receiver_took_the_request_the_fix_is_the_url(
    status: int | None, failure: str | None, fix: str
) -> None:
    """Not a secret that was never looked at."""
    judged = judge_case(
        Case(name="x", asks="do", fix="mend", steps=[TAKEN]), [replace(answer(status), failure=failure)]
    )
    assert fix in judged.fix


def test_a_case_that_was_not_sent_is_skipped() -> None:
    """It neither passes nor fails."""
    assert skip_case(Case(name="x", asks="do", fix="mend", steps=[TAKEN])).result == "skipped"


@pytest.mark.parametrize(
    ("excerpt", "told"),
    [
        (YES, True),
        (NO, False),
        ("", None),
        ("ok", None),
        ("true", None),
        ('{"handled":1}', None),
        ('{"handled":"true"}', None),
        ('["handled"]', None),
        ("{" * 900, None),
    ],
)
def test_what_a_receiver_says_is_read_from_a_json_object(excerpt: str, told: bool | None) -> None:  # noqa: FBT001 -- a column
    """Anything else says nothing."""
    assert read_handled(excerpt) is told
