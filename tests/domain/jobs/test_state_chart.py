"""The chart in docs/architecture.md, the table in the code and what jobs really do are the same."""

import re
from pathlib import Path

from bridge.domain.jobs.records import TRANSITIONS, JobState
from tests.domain.jobs.watched_job import BROKEN, MISSING, Candidate, item, post, simple

CHART = Path(__file__).parents[3] / "docs" / "architecture.md"
ARROW = re.compile(r"^\s*(\[\*\]|\w+) --> (\w+)(?::.*)?$", re.MULTILINE)

Arrows = set[tuple[JobState, JobState]]


def read_chart() -> list[tuple[str, str]]:
    """Give the arrows between the markers."""
    _, chart, _ = CHART.read_text().split("<!-- state chart -->")
    assert "```mermaid\nstateDiagram-v2\n" in chart
    drawn: list[tuple[str, str]] = ARROW.findall(chart)
    lines = [line for line in chart.splitlines() if "-->" in line]
    assert len(lines) == len(drawn) == len(set(drawn)), "each arrow is read, and drawn once"
    return drawn


def table() -> Arrows:
    return {(start, end) for start, ends in TRANSITIONS.items() for end in ends}


def test_the_chart_is_the_table() -> None:
    """docs/architecture.md, section States."""
    drawn = read_chart()
    assert [end for start, end in drawn if start == "[*]"] == [JobState.WATCHING]
    assert {(start, end) for start, end in drawn if start != "[*]"} == table()


def test_every_state_can_be_left() -> None:
    """No state is a trap, and none leads to itself: staying is no transition."""
    assert set(TRANSITIONS) == set(JobState)
    for start, ends in TRANSITIONS.items():
        assert ends
        assert start not in ends


def test_every_arrow_is_taken_and_no_other() -> None:
    """Short lives that go along each arrow."""
    taken: Arrows = set()
    for live in (live_and_die, lose_and_find, time_out, regenerate_late):
        taken |= {(start, end) for start, end in live() if start is not end}
    assert taken == table()


def live_and_die() -> Arrows:
    """Run 1 ends, run 2 begins and ends, the job is deleted."""
    watch = Candidate()
    watch.register(once=False)
    for answer in (simple("completed"), simple("running"), simple("failed"), MISSING, MISSING):
        watch.read(answer)
    return watch.states


def lose_and_find() -> Arrows:
    """One 404 between two good reads; then 404 and silence until the deadline."""
    watch = Candidate()
    watch.register(timeout_s=40.0)
    for answer in (simple("running"), MISSING, simple("running"), MISSING):
        watch.read(answer)
    while watch.record.state is JobState.MISSING:
        watch.read(BROKEN)
    return watch.states


def time_out() -> Arrows:
    """Timed out, registered again, timed out again, ended late."""
    watch = Candidate()
    watch.register(timeout_s=1.0)
    watch.read(simple("running"), after_s=2)
    watch.register(timeout_s=1.0)
    watch.read(simple("running"), after_s=2)
    watch.read(simple("completed"))
    return watch.states


def regenerate_late() -> Arrows:
    """The run that was expected came after its time."""
    watch = Candidate("generated_post")
    watch.register(expect="new_run", timeout_s=1.0)
    watch.read(post("completed", item("a", "completed")), after_s=2)
    watch.read(post("generating", item("b", "generating")))
    return watch.states
