"""What a job looked like before a call that runs it again, and from when on it shows the new run."""

import pytest
from msgspec.structs import replace

from bridge.domain.jobs.baseline import Baseline, apply_baseline, mark_results, shows_new_run
from bridge.domain.jobs.records import JobState
from bridge.domain.jobs.registration import new_job

ENDED = Baseline(status="completed", ending="completed", parts=(("i1", "completed"), ("i2", "failed")))
RUNNING = replace(ENDED, status="generating", ending="")


@pytest.mark.parametrize(
    ("before", "now", "is_new"),
    [
        (ENDED, ENDED, False),
        (ENDED, RUNNING, True),
        (ENDED, replace(ENDED, ending="failed"), True),
        (ENDED, replace(ENDED, parts=(("i3", "completed"),)), True),
        # the failed ones only: some stay
        (ENDED, replace(ENDED, parts=(("i1", "completed"), ("i3", ""))), True),
        # an item was deleted
        (ENDED, replace(ENDED, parts=(("i1", "completed"),)), False),
        (ENDED, replace(ENDED, parts=()), False),
        # one item, under its own id
        (replace(ENDED, mark="a"), replace(ENDED, mark="b"), True),
        (replace(ENDED, mark="a"), replace(ENDED, mark=""), False),
        # it was running before: its own progress is not a new run
        (RUNNING, ENDED, False),
        (RUNNING, replace(ENDED, parts=(("i1", "completed"), ("i3", ""))), False),
        (RUNNING, replace(RUNNING, parts=(("i3", ""),)), True),
        (replace(RUNNING, parts=()), RUNNING, False),
    ],
)
def test_a_new_run_shows_itself_or_not(before: Baseline, now: Baseline, *, is_new: bool) -> None:
    """What may as well be the old run counts as that."""
    assert shows_new_run(before, now) is is_new


def test_results_are_the_same_under_another_signature() -> None:
    """Links may be signed anew for each read."""
    marks = [
        mark_results({"url": url}, ["url"])
        for url in ("https://c/a?x=1", "https://c/a?x=2", "https://c/b", None)
    ]
    assert marks[0] == marks[1] != marks[2]
    assert marks[3] == ""


def test_a_job_that_nobody_read_is_as_it_was_seen_before_the_call() -> None:
    """The next run is then the second."""
    job = new_job(
        project="p",
        account="a",
        kind="generated_post",
        job_id="g1",
        now_ms=1,
        clock="registration",
        persona="",
    )
    ended, run = apply_baseline(job, ENDED)
    assert (ended.state, ended.ending, ended.parts, run) == (JobState.ENDED, "completed", ENDED.parts, 2)
    assert apply_baseline(job, RUNNING) == (job, 0), "its first ending may be the old run's"
    assert apply_baseline(job, Baseline(status="")) == (job, 1), "nothing had begun"
