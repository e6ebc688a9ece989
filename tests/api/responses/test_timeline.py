"""Why an attempt that is due has not begun, in words."""

from typing import Any

import pytest

from bridge.api.responses.timeline import explain_wait
from bridge.store.queue.fair_lanes import LaneStanding

FREE = LaneStanding(
    in_flight=0,
    per_url=1,
    before=None,
    origin_in_flight=0,
    origin_most=6,
    kind="unknown",
    blocked_ms=0,
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
            {"kind": "stranger", "before": 3, "origin_in_flight": 6},
            "this host has never answered 2xx, so 6 of 6 attempts over all its URLs are in flight; 3 other URLs are before it",
        ),
        ({"kind": "unreachable", "before": 1}, "one attempt at a time tries it; 1 other URL is before it"),
        ({"kind": "slow", "before": 0}, "this URL took too long the last time"),
        (
            {"kind": "healthy", "before": 0, "origin_in_flight": 6},
            "6 of 6 attempts for this host are in flight",
        ),
    ],
)
def test_each_wait_has_its_reason(facts: dict[str, Any], words: str) -> None:
    """Nothing is said of an attempt that begins at once."""
    said = explain_wait(
        LaneStanding(**{**{name: getattr(FREE, name) for name in FREE.__struct_fields__}, **facts})
    )
    assert words in said
    assert bool(words) == bool(said)
