"""Items that were redone: what their post's reading says of them, and what their own callbacks hear."""

import pytest

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.transition import replace_item
from tests.domain.jobs.watched_job import (
    MISSING,
    Candidate,
    item,
    post,
    simple,
)

A, B, C, D = "aaaa", "bbbb", "cccc", "dddd"


def watch_post() -> Candidate:
    return Candidate("generated_post")


def test_a_regeneration_replaces_the_items() -> None:
    """The old items are told as replaced once, when the new run is seen, with or without its new items."""
    watch = watch_post()
    watch.register(once=False)
    watch.read(post("completed", item(A, "completed"), item(B, "completed")))
    watch.read(post("pending"))
    watch.read(post("generating", item(C, "generating")))
    watch.read(post("completed", item(C, "completed")))
    assert sorted(watch.replaced) == [A, B]


def test_items_redone_before_the_post_ended_are_replaced_too() -> None:
    """A regeneration in mid-run: no new run is seen, but other items take the place of the old, with their own time."""
    watch = watch_post()
    once = watch.register()
    watch.read(post("generating", item(A, "generating"), item(B, "generating")))
    watch.read(post("generating", item(C, "generating"), item(B, "generating")), after_s=590)
    assert watch.replaced == [A]
    watch.read(post("generating", item(C, "generating"), item(B, "generating")))
    assert watch.heard(once) == []


def replace_now(watch: Candidate) -> list[str]:
    """Replace the watched item, as its post's reading does."""
    at = PollContext(begun_ms=watch.now_ms, now_ms=watch.now_ms)
    moved = replace_item(watch.record, watch.log, key=watch.key, at=at, related={}, scale=watch.time_scale)
    if moved is None:
        return []
    watch._check(watch.record, moved)
    watch.job, watch.delay_ms = moved.job, moved.delay_ms
    watch.notifications += moved.notifications
    return [each.type for each in moved.notifications]


@pytest.mark.parametrize("word", ["generating", "failed", "completed"])
def test_a_replaced_item_is_told_once_and_stays_replaced(word: str) -> None:
    """Running or ended; that it can still be read as it was is no second life, and newcomers hear `.replaced`."""
    watch = Candidate("generated_media_item")
    every = watch.register("https://a.example/", once=False)
    watch.read(simple(word))
    assert replace_now(watch) == ["generated_media_item.replaced"]
    assert replace_now(watch) == []
    later = watch.register("https://b.example/")
    watch.read(simple(word))
    watch.read(simple(word))
    watch.read(MISSING)
    watch.read(MISSING)
    heard = [] if word == "generating" else [word]
    assert watch.heard(every) == [*heard, "replaced"]
    assert watch.heard(later) == ["replaced"]
    fact = watch.fact(later).draft.fact
    assert (fact.outcome, fact.error, fact.run) == ("deleted", None, 1)


def test_a_replaced_item_that_runs_again_lives_again() -> None:
    """It had failed, was taken for replaced, and is being made: run 2."""
    watch = Candidate("generated_media_item")
    every = watch.register(once=False)
    watch.read(simple("failed"))
    replace_now(watch)
    watch.read(simple("generating"))
    watch.read(simple("completed"))
    assert watch.heard(every) == ["failed", "replaced", "completed"]


def test_a_replaced_item_closes_who_waits_for_its_next_run() -> None:
    """`expect: new_run` on an item that others took the place of: there will be none."""
    watch = Candidate("generated_media_item")
    new = watch.register(expect="new_run")
    watch.read(simple("failed"))
    assert replace_now(watch) == ["generated_media_item.replaced"]
    assert watch.heard(new) == ["replaced"]
    assert watch.delay_ms is None
