"""The rules about lives, one by one; the sequences are in `test_progress_runs.py`."""

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.jobs.emitted import (
    MAX_EMITTED,
    add_emitted,
    forget_reverted,
    identify,
    keep_for_run,
    list_emitted,
)
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import (
    Parts,
    find_replaced,
    find_superseded,
    is_blank,
    is_new_run,
    is_redone,
    list_parts,
)
from bridge.domain.observation import Ending, Observation, Outcome, Part, Timing

JOB = Job(
    project="prj_1",
    account="acc_1",
    kind="generated_post",
    id="1",
    born_ms=1,
    state=JobState.ENDED,
    run=1,
    run_ms=1,
    clock_ms=1,
    status="completed",
    ending="completed",
    parts=(("a", "completed"), ("b", "failed")),
)


def end(word: str) -> Ending:
    return Ending(word=word, outcome=Outcome.SUCCEEDED)


def show(ending: str = "", status: str = "completed", review: str | None = None, **parts: str) -> Observation:
    """Show an object with parts by id; an empty word is one that runs."""
    listed = tuple(
        Part(id=name, status=word, ending=end(word) if word else None, data={})
        for name, word in parts.items()
    )
    return Observation(
        status=status,
        ending=end(ending) if ending else None,
        data={},
        timing=Timing(interval_s=1, timeout_s=1),
        review=review,
        parts=listed,
    )


@pytest.mark.parametrize(
    ("change", "seen", "new"),
    [
        ({}, show("completed", a="completed", b="failed"), False),
        ({}, show("", a="completed", b=""), True),  # it runs again
        ({}, show("partial", a="completed", b="failed"), True),  # it ended in another way
        ({}, show("completed", a="completed", c="completed"), True),  # other items
        ({}, show("completed", a="completed"), False),  # one was deleted
        ({"parts": ()}, show("completed", a="completed"), False),  # items that were not shown before
        ({"ending": ""}, show("completed", c="completed"), False),  # it had not ended
        ({"ending": "timed_out"}, show("", c=""), False),
        ({"ending": "not_found"}, show("completed", c="completed"), False),
        ({"ending": "deleted"}, show("completed", a="completed"), True),  # it is back
        ({"ending": "replaced"}, show("completed", a="completed"), False),
        ({"ending": "replaced", "status": "generating"}, show("", "generating"), False),  # frozen as it was
        ({"ending": "replaced", "status": "failed"}, show("", "generating"), True),
    ],
)
def test_what_counts_as_another_run(change: dict[str, Any], seen: Observation, *, new: bool) -> None:
    """An ended job, seen again."""
    job = replace(JOB, **change)
    assert is_new_run(job, seen, list_parts(seen)) is new


def test_a_glimpse_is_blank_only_where_nothing_else_changed() -> None:
    """No items under the same word; under another word the post runs again."""
    assert is_blank(JOB, show(""))
    assert not is_blank(JOB, show("", "pending"))
    assert not is_blank(JOB, show("", a=""))
    assert not is_blank(replace(JOB, parts=()), show(""))
    assert not is_blank(replace(JOB, ending=""), show(""))


BEFORE: Parts = (("a", "completed"), ("b", "failed"), ("c", "failed"))


@pytest.mark.parametrize(
    ("now", "superseded"),
    [
        ((*BEFORE, ("b2", ""), ("c2", "")), ("b", "c")),
        ((*BEFORE, ("b2", "")), ()),  # a retry of one: which one is not told
        (BEFORE, ()),
        ((("a", "completed"), ("b", ""), ("c", "failed"), ("c2", "")), ("c",)),  # b runs again itself
        ((("a", "completed"), ("b2", "failed")), ()),  # a new failure is its own
    ],
)
def test_failed_items_listed_beside_their_successors(now: Parts, superseded: tuple[str, ...]) -> None:
    """Only where as many new items came as failed ones stayed."""
    assert find_superseded(BEFORE, now, failed_words={"failed"}) == superseded


def test_a_failure_has_the_providers_word() -> None:
    """Which words say that an item failed is the provider's to state."""
    before: Parts = (("a", "finished"), ("b", "broken"))
    now: Parts = (*before, ("b2", ""))
    assert find_superseded(before, now, failed_words={"broken"}) == ("b",)
    assert find_superseded(before, now, failed_words={"failed"}) == ()


def test_replaced_items() -> None:
    """Others took their place, or will; what merely goes missing was deleted."""
    other = (("d", ""),)
    assert find_replaced(BEFORE, other, begun=False) == ("a", "b", "c")
    assert find_replaced(BEFORE, (), begun=True) == ("a", "b", "c")
    assert find_replaced(BEFORE, BEFORE[:2], begun=False) == ()
    assert is_redone(BEFORE, other)
    assert not is_redone(BEFORE, BEFORE[:2])
    assert not is_redone(BEFORE, (*BEFORE, ("d", "")))
    assert not is_redone((), other)


def test_a_fact_of_one_run_is_another_in_the_next_and_a_standing_one_is_not() -> None:
    """`completed` is known by its run, a delivery's end and a review's word by themselves."""
    assert identify(1, "completed") != identify(2, "completed")
    assert identify(1, "delivery:d1:published") == identify(2, "delivery:d1:published")
    assert list_emitted(["1:completed", "1:review:approved"]) == {"1:completed": 1, "review:approved": 1}


def test_what_belongs_to_former_runs_is_forgotten() -> None:
    """Not what outlasts them, nor the time-out of a run that has not begun."""
    emitted = (
        "1:completed",
        "1:delivery:d1:published",
        "1:review:approved",
        "3:timed_out:cb_1",
        "2:completed",
    )
    assert keep_for_run(emitted, 2) == emitted[1:]


def test_standing_facts_are_forgotten_when_they_were_undone() -> None:
    """A delivery that runs again, a review of another word; not what is not shown, nor facts of this run."""
    job = replace(
        JOB,
        run=2,
        emitted=(
            "1:delivery:d1:failed",
            "1:delivery:d:2:failed",
            "1:review:approved",
            "2:delivery:d1:failed",
        ),
    )
    assert forget_reverted(job, show(a="completed")) == job
    assert forget_reverted(job, show(d1="failed", review="approved")) == job
    seen = show(review="pending_review", **{"d1": "", "d:2": "published"})
    assert forget_reverted(job, seen).emitted == ("2:delivery:d1:failed",)


def test_memory_has_an_end() -> None:
    """An outage and a time-out push out the former ones; a flood of deliveries the oldest."""
    emitted = tuple(f"1:delivery:{n}:published" for n in range(MAX_EMITTED))
    for n in range(3):
        emitted = add_emitted(emitted, run=1, name=f"unauthorized:{n}")
        emitted = add_emitted(emitted, run=1, name=f"timed_out:{n}")
    assert len(emitted) == MAX_EMITTED
    assert emitted[0] == "1:delivery:2:published"
    assert emitted[-3:] == (f"1:delivery:{MAX_EMITTED - 1}:published", "1:unauthorized:2", "1:timed_out:2")
