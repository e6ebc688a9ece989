"""A post that is regenerated keeps its id: what counts as another run, and who waits for it."""

from typing import Any

import pytest

from bridge.domain.jobs.records import JobState
from tests.domain.jobs.watched_job import (
    BROKEN,
    MISSING,
    Candidate,
    item,
    post,
)

A, B, C, D = "aaaa", "bbbb", "cccc", "dddd"
DONE = post("completed", item(A, "completed"))
AGAIN = post("generating", item(A, "generating"))
PARTIAL = post("completed", item(A, "completed"), item(B, "failed"))


def watch_post() -> Candidate:
    return Candidate("generated_post")


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        (DONE, post("completed", item(C, "completed")), "completed"),  # both ends between two reads
        (DONE, post("failed", item(C, "failed")), "failed"),
        (DONE, post("completed", item(A, "failed")), "failed"),  # the same item ended in another way
        (PARTIAL, post("completed", item(A, "completed"), item(C, "failed")), "partial"),
    ],
)
def test_a_regeneration_between_two_reads_is_another_run(
    first: dict[str, Any], second: dict[str, Any], word: str
) -> None:
    """Completed and completed again with other items: run 2, with an event of its own."""
    watch = watch_post()
    every = watch.register(once=False)
    watch.read(first)
    watch.read(second)
    assert watch.heard(every)[1:] == [word]
    assert watch.fact(every).draft.fact.run == 2


@pytest.mark.parametrize(
    "glimpse",
    [
        post("completed"),  # its items went missing for a moment
        BROKEN,
        MISSING,
    ],
)
def test_a_glimpse_without_items_is_no_new_run(glimpse: Any) -> None:
    """An ended post that shows no items once has not been regenerated; nothing is said to be replaced."""
    watch = watch_post()
    every = watch.register(once=False)
    watch.read(DONE)
    watch.read(glimpse)
    watch.read(DONE)
    assert (watch.heard(every), watch.record.run, watch.replaced) == (["completed"], 1, [])


def test_an_item_that_is_deleted_is_no_new_run() -> None:
    """A completed post loses an item: it is completed still, and the item was not replaced."""
    watch = watch_post()
    every = watch.register(once=False)
    watch.read(post("completed", item(A, "completed"), item(B, "completed")))
    watch.read(DONE)
    assert (watch.heard(every), watch.record.run, watch.replaced) == (["completed"], 1, [])


def test_a_new_run_expected_ignores_the_ending_seen_first() -> None:
    """`expect: new_run` on a completed post, never seen before or known: only the next run counts."""
    watch = watch_post()
    new = watch.register(expect="new_run")
    watch.read(DONE)
    watch.read(DONE)
    assert watch.heard(new) == []
    assert watch.delay_ms == 15_000, "it is waited for at the documented pace"
    watch.read(AGAIN)
    watch.read(DONE)
    assert watch.heard(new) == ["completed"]
    assert watch.fact(new).draft.fact.run == 2


def test_a_new_run_expected_ends_with_changed_items() -> None:
    """Completed, and completed with other items: the run between was not seen running."""
    watch = watch_post()
    new = watch.register(expect="new_run")
    watch.read(DONE)
    watch.read(post("completed", item(C, "completed")))
    assert watch.heard(new) == ["completed"]


def test_a_run_in_progress_is_the_new_one() -> None:
    """The first read after the registration shows it running: its end counts."""
    watch = watch_post()
    new = watch.register(expect="new_run")
    watch.read(AGAIN)
    watch.read(DONE)
    assert watch.heard(new) == ["completed"]


def test_a_read_begun_before_the_registration_decides_nothing() -> None:
    """It shows the state from before: whichever run that was, `expect: new_run` waits for the next read."""
    watch = watch_post()
    watch.register("https://first.example/")
    watch.read(AGAIN)
    began_ms = watch.now_ms + 15_000
    watch.now_ms = began_ms + 50
    new = watch.register("https://new.example/", expect="new_run")
    watch.read(AGAIN, after_s=-0.05, took_ms=100)  # begun 50 ms before the registration
    watch.read(DONE)
    assert watch.heard(new) == []
    watch.read(post("completed", item(C, "completed")))
    assert watch.heard(new) == ["completed"]


def test_a_new_run_that_does_not_come_is_timed_out() -> None:
    """In its time; then the job is read slowly for a day, and a run that comes still is told late."""
    watch = watch_post()
    new = watch.register("https://a.example/", expect="new_run")
    every = watch.register("https://b.example/", expect="new_run", once=False)
    while not watch.heard(new):
        watch.read(DONE)
    assert watch.heard(new) == watch.heard(every) == ["timed_out"]
    assert watch.fact(new).draft.fact.run == 2
    assert (watch.record.state, watch.delay_ms) == (JobState.ENDED, 600_000)
    watch.read(AGAIN)
    assert watch.record.state is JobState.TAIL
    watch.read(DONE)
    assert watch.heard(every) == ["timed_out", "completed"]
    fact = watch.fact(every).draft.fact
    assert (fact.late, fact.run) == (True, 2)


def test_a_run_seen_in_the_tail_ends_late_for_the_feed() -> None:
    """Nobody is left waiting: the day of slow reads still finds the late run's end."""
    watch = watch_post()
    watch.register(expect="new_run")
    while not watch.notifications:
        watch.read(DONE)
    watch.read(AGAIN)
    watch.read(DONE)
    last = list(watch.events.values())[-1].draft
    assert (last.name, last.fact.late, watch.delay_ms) == ("completed", True, None)


def test_who_waits_for_a_new_run_hears_that_the_post_is_gone() -> None:
    """Deleted: no run will come, and waiting for the time-out would be silence."""
    watch = watch_post()
    new = watch.register(expect="new_run")
    watch.read(DONE)
    watch.read(MISSING)
    watch.read(MISSING)
    assert watch.heard(new) == ["deleted"]
    later = watch.register(expect="new_run")
    watch.read(MISSING)
    assert watch.heard(later) == ["deleted"]


def test_a_voice_conversion_done_again_is_another_run() -> None:
    """An unknown word between two ends means that it runs."""

    def voice(word: str | None) -> dict[str, Any]:
        return {"data": {"id": "77c1a2b4-0000-4000-8000-000000000010", "voice_conversion_status": word}}

    watch = Candidate("voice_conversion")
    every = watch.register(once=False)
    for word in ("completed", "warming up", "completed", None, "failed"):
        watch.read(voice(word))
    assert watch.heard(every) == ["completed", "completed", "failed"]
