"""Why an attempt that is due has not begun, in words."""

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.api.responses.next_attempts import describe_next_attempt, explain_delay, explain_wait
from bridge.domain.deliveries.records import Delivery, new_delivery
from bridge.services.deliveries.waits import Wait
from bridge.store.queue.standings import LaneStanding

FREE = LaneStanding(
    in_flight=0,
    per_url=1,
    before=None,
    origin_in_flight=0,
    origin_most=6,
    kind="unknown",
)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, ""),
        (
            {"in_flight": 1},
            "an attempt to this URL is in flight, and it gets one at a time until it answers 2xx",
        ),
        ({"in_flight": 10, "per_url": 10}, "10 attempts are in flight to this URL"),
        (
            {"kind": "stranger", "before": 3, "origin_in_flight": 6, "has_room": False},
            "this host has never answered 2xx, so 6 of 6 attempts over all its URLs are in flight; 3 other URLs are before it",
        ),
        (
            {"kind": "stranger", "before": 0, "origin_in_flight": 2, "has_room": False},
            "2 of 6 attempts over all its URLs are in flight, and they begin a few at a time",
        ),
        (
            {"kind": "unreachable", "before": 1, "has_room": False},
            "one attempt at a time tries it; 1 other URL is before it",
        ),
        ({"kind": "slow", "before": 0, "has_room": False}, "this URL took too long the last time"),
        (
            {"kind": "healthy", "before": 0, "origin_in_flight": 6, "has_room": False},
            "6 of 6 attempts for this host are in flight",
        ),
    ],
)
def test_each_wait_has_its_reason(facts: dict[str, Any], words: str) -> None:
    """Nothing is said of an attempt that begins at once."""
    said = explain_wait(Wait(standing=replace(FREE, **facts)))
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (
            Wait(standing=FREE, late_ms=2000, workers=1),
            "a free slot of a worker; some are kept for URLs that answer.",
        ),
        (
            Wait(standing=replace(FREE, before=2), late_ms=2000, workers=1),
            "a free slot of a worker; some are kept",
        ),
        (Wait(standing=replace(FREE, kind="healthy"), late_ms=2000, workers=1), "a free slot of a worker."),
        (Wait(late_ms=2000, workers=1), "a free slot of a worker."),
        (Wait(standing=FREE, late_ms=2000), "no worker is running."),
        (Wait(standing=FREE, late_ms=500, workers=0), None),
    ],
)
def test_what_no_receiver_holds_back_waits_for_a_worker(wait: Wait, words: str | None) -> None:
    """Once it is late."""
    said = explain_delay(delivery(), 10_000, wait)
    assert (said is None) == (words is None)
    assert (words or "") in (said or "")


def test_an_attempt_that_a_worker_has_taken_may_not_have_begun() -> None:
    """For as long as it can wait for a slot there; then it is in flight."""
    said = describe_next_attempt(delivery(), -20_000, Wait(begins_by_ms=5_000))
    assert said.endswith("was taken by a worker: it is in flight, or begins before 1970-01-01T00:00:05.000Z.")
    assert describe_next_attempt(delivery(), -20_000, None) == "Attempt 1 to https://a.example is in flight."


def test_an_attempt_waits_for_the_one_before_a_change() -> None:
    """It is the one after that."""
    said = explain_delay(replace(delivery(), busy_ms=20_000), -20_000, None)
    assert said is not None
    assert said.startswith("Attempt 2 to https://a.example, as soon as the one has ended that was in flight")


def delivery() -> Delivery:
    return new_delivery(
        event="evt_a",
        job="a",
        subscription="cb_a",
        project="prj_a",
        lane="prj_a https://a.example 1",
        now_ms=1,
    )
