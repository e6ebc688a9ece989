"""What a repetition of a start gets, and the chart of a start's states."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridge.domain.starts.records import TRANSITIONS, Fingerprint, Start, StartState
from bridge.domain.starts.repeats import Repeat, judge_repeat, name_differences

CHART = Path(__file__).parents[3] / "docs" / "architecture.md"
ARROW = re.compile(r"^\s*(\[\*\]|\w+) --> (\w+)(?::.*)?$", re.MULTILINE)
PRINT = Fingerprint("POST", b"path", b"body")
START = Start(
    state=StartState.INTENT,
    token=b"t",
    owner="p",
    project="prj_1",
    account="acc_1",
    rule="generate",
    began_ms=1,
    fingerprint=PRINT,
)


def test_the_chart_is_the_table() -> None:
    """docs/architecture.md, section States."""
    _, chart, _ = CHART.read_text().split("<!-- start chart -->")
    drawn = ARROW.findall(chart)
    assert [end for start, end in drawn if start == "[*]"] == [StartState.INTENT]
    table = {(start, end) for start, ends in TRANSITIONS.items() for end in ends}
    assert {(start, end) for start, end in drawn if start != "[*]"} == table


@pytest.mark.parametrize(
    ("state", "answer", "repeat"),
    [
        (StartState.INTENT, None, Repeat.RUNNING),
        (StartState.DOUBT, None, Repeat.DOUBT),
        (StartState.ANSWERED, b"a", Repeat.REPLAY),
        (StartState.ANSWERED, None, Repeat.CONSUMED),
        (StartState.REBUILT, b"a", Repeat.REPLAY),
        (StartState.REBUILT, None, Repeat.CONSUMED),
    ],
)
def test_a_repetition_gets_what_the_state_allows(
    state: StartState, answer: bytes | None, repeat: Repeat
) -> None:
    """Another request under the key gets the same refusal in every state."""
    start = replace(START, state=state, answer=answer)
    assert judge_repeat(start, PRINT) is repeat
    assert judge_repeat(start, replace(PRINT, body=b"other")) is Repeat.OTHER


def test_what_differs_is_named() -> None:
    """Method, path or body, in this order."""
    assert name_differences(START, PRINT) == ()
    assert name_differences(START, Fingerprint("PUT", b"path", b"other")) == ("method", "body")
    assert name_differences(START, replace(PRINT, target=b"x")) == ("path",)
