"""The books find what they are to find: each case changes one thing in a run that is right."""

from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.chaos.books import EXCUSES, REASONS, STOOD_STILL, Accepted, Books, balance
from tests.e2e.chaos.fleet import Away
from tests.e2e.chaos.moody_receivers import Arrival
from tests.e2e.crash.killable_service import Kill

ACCEPTED = Accepted(job="j1", ending="sync_job.completed", places={"cb_1": "hook", "ep_1": "endpoint"})
EVENT = {"id": "evt_1", "type": "sync_job.completed", "job_id": "j1"}
OTHER = EVENT | {"id": "evt_2"}
OK = {"status": 200, "reason": "", "duration_ms": 200}
OK_AFTER_A_STANDSTILL = OK | {"duration_ms": 3500}
UNANSWERED = {"status": None, "reason": "no answer"}
POST = Arrival(
    place="hook",
    event="evt_1",
    type="sync_job.completed",
    job="j1",
    stamp_s=1000,
    arrived_at=1000.0,
    answered_at=1000.2,
    fate="ok",
)
LATER = replace(POST, stamp_s=1020, arrived_at=1020.0, answered_at=1020.2)
AT_ENDPOINT = replace(POST, place="endpoint")
KILL = Kill(victim="worker", began=1000.3, ended=1000.4)


def delivery(callback: str | None, endpoint: str | None = None, **changed: Any) -> dict[str, Any]:
    return {
        "callback_id": callback,
        "endpoint_id": endpoint,
        "event_id": "evt_1",
        "state": "succeeded",
        "attempts": [OK],
        **changed,
    }


CALLBACK, ENDPOINT = delivery("cb_1"), delivery(None, "ep_1")


def close(**changed: Any) -> Books:
    right: dict[str, Any] = {
        "events": [EVENT],
        "deliveries": [CALLBACK, ENDPOINT],
        "arrivals": [POST, AT_ENDPOINT],
        "kills": (),
        "away": (),
    }
    return balance([ACCEPTED], **(right | changed))


def test_a_run_that_is_right_has_no_problems() -> None:
    found = close()
    assert found == Books(events=1, deliveries=2, delivered=2)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"events": [], "deliveries": [], "arrivals": []}, "no event of j1"),
        ({"events": [EVENT, OTHER]}, "invented or doubled event evt_2"),
        ({"events": [EVENT, EVENT | {"job_id": "j9"}]}, "invented or doubled event evt_1"),
        ({"events": [EVENT | {"type": "sync_job.failed"}]}, "invented or doubled event"),
        ({"deliveries": [CALLBACK]}, "no delivery of"),
        ({"deliveries": [CALLBACK, CALLBACK, ENDPOINT]}, "two deliveries"),
        ({"deliveries": [CALLBACK, ENDPOINT, delivery("cb_9")]}, "invented delivery"),
        ({"deliveries": [delivery("cb_1", state="pending"), ENDPOINT]}, "pending after ['ok']"),
        ({"deliveries": [delivery("cb_1", state="parked"), ENDPOINT]}, "parked after ['ok']"),
        ({"arrivals": [AT_ENDPOINT]}, "succeeded after []"),
        ({"arrivals": [replace(POST, fate="late"), AT_ENDPOINT]}, "succeeded after ['late']"),
        ({"arrivals": [POST, AT_ENDPOINT, replace(POST, event="evt_9")]}, "invented POST"),
        ({"arrivals": [POST, AT_ENDPOINT, replace(POST, place="elsewhere")]}, "invented POST"),
        ({"arrivals": [replace(POST, stamp_s=4600), AT_ENDPOINT]}, "stamped by a wrong clock"),
        ({"arrivals": [POST, LATER, AT_ENDPOINT]}, "repeated without a reason"),
        (
            {
                "arrivals": [POST, LATER, AT_ENDPOINT],
                "away": [Away(how="stopped", began=999.0, ended=1002.0)],
            },
            "repeated without a reason",
        ),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], problem: str) -> None:
    assert any(problem in each for each in close(**changed).problems), close(**changed).problems


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kills": [KILL]}, EXCUSES["worker"]),
        ({"arrivals": [replace(POST, fate="reset"), LATER, AT_ENDPOINT]}, REASONS["reset"]),
        (
            {"deliveries": [delivery("cb_1", attempts=[UNANSWERED, OK]), ENDPOINT]},
            STOOD_STILL,
        ),
        (
            {"away": [Away(how="cut off", began=999.0, ended=1019.0)]},
            "the worker was cut off for longer than the attempt's lease",
        ),
    ],
)
def test_a_repetition_has_its_reason(changed: dict[str, Any], reason: str) -> None:
    found = close(**({"arrivals": [POST, LATER, AT_ENDPOINT]} | changed))
    assert (found.problems, dict(found.repeated)) == ([], {reason: 1})


def test_a_late_answer_counts_where_the_worker_stood_still() -> None:
    """It lies there when the worker goes on, which shows in how long the attempt took."""
    found = close(
        deliveries=[delivery("cb_1", attempts=[OK_AFTER_A_STANDSTILL]), ENDPOINT],
        arrivals=[replace(POST, fate="late"), AT_ENDPOINT],
    )
    assert (found.delivered, found.problems) == (2, [])


def test_what_nobody_takes_is_parked() -> None:
    """At a receiver that refuses; or, apart from that, where the attempts ran out."""
    refused = delivery("cb_1", state="parked", attempts=[{"status": 503, "reason": ""}])
    found = close(deliveries=[refused, ENDPOINT], arrivals=[replace(POST, fate="refused"), AT_ENDPOINT])
    assert (found.parked, found.exhausted, found.problems) == (1, 0, [])
    found = close(deliveries=[refused, ENDPOINT], arrivals=[replace(POST, fate="busy"), AT_ENDPOINT])
    assert (found.parked, found.exhausted, found.problems) == (0, 1, [])
