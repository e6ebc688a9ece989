"""`retried_items`: the run that they start, and nothing stale before it."""

import pytest

from bridge.domain.jobs.records import JobState
from tests.domain.jobs.watched_job import (
    MISSING,
    Candidate,
    item,
    post,
)

A, B, C, D = "aaaa", "bbbb", "cccc", "dddd"
B2, C2, B3 = "bbbb-2", "cccc-2", "bbbb-3"
PARTIAL = post("completed", item(A, "completed"), item(B, "failed"))


def watch_post() -> Candidate:
    return Candidate("generated_post")


def ended_partial() -> Candidate:
    """A post of which one item failed, its first callback closed."""
    watch = watch_post()
    watch.register("https://first.example/")
    watch.read(PARTIAL)
    return watch


@pytest.mark.parametrize("still_listed", [True, False], ids=["old item listed", "old item gone"])
@pytest.mark.parametrize("word", ["completed", "failed", "generating"])
def test_retried_items_mean_the_run_that_they_start(word: str, *, still_listed: bool) -> None:
    """Posted back with a URL: nothing stale is told before the new items were seen, then the run's own end."""
    watch = ended_partial()
    old = (item(B, "failed"),) if still_listed else ()
    retry = watch.register("https://retry.example/", retried={B: B2})
    for _ in range(3):
        assert watch.read(post(word, item(A, "completed"), item(B, "failed"))) == []
    assert watch.read(post(word, item(A, "completed"), *old)) == []
    assert watch.read(post("generating", item(A, "completed"), *old, item(B2, "pending"))) == []
    watch.read(post("completed", item(A, "completed"), *old, item(B2, "completed")))
    assert watch.heard(retry) == ["completed"]
    assert watch.fact(retry).draft.fact.run == 2
    assert watch.replaced == [B]


def test_a_retry_of_a_post_that_was_never_watched() -> None:
    """Its answer is the first that the bridge hears of it."""
    watch = watch_post()
    retry = watch.register(retried={B: B2})
    watch.read(PARTIAL)
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "failed")))
    assert watch.heard(retry) == ["partial"]
    error = watch.fact(retry).draft.fact.error or {}
    assert error["items"] == [B2]


def test_a_retry_that_was_seen_before_it_was_registered() -> None:
    """The poll was faster: the run is there already, running or ended, and is not begun twice."""
    for ended in (False, True):
        watch = watch_post()
        every = watch.register("https://first.example/", once=False)
        watch.read(PARTIAL)
        watch.read(post("generating", item(A, "completed"), item(B, "failed"), item(B2, "generating")))
        done = post("completed", item(A, "completed"), item(B, "failed"), item(B2, "completed"))
        if ended:
            watch.read(done)
        retry = watch.register("https://retry.example/", retried={B: B2})
        watch.read(done)
        assert watch.heard(retry) == ["completed"]
        assert watch.heard(every) == ["partial", "completed"]
        assert watch.record.run == 2


def test_a_retry_registered_twice_starts_one_run() -> None:
    """At once, and again after its run has ended: the second one hears the same event."""
    watch = ended_partial()
    first = watch.register("https://a.example/", retried={B: B2})
    assert watch.register("https://a.example/", retried={B: B2}) == first
    second = watch.register("https://b.example/", retried={B: B2})
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    third = watch.register("https://c.example/", retried={B: B2})
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    assert [watch.heard(each) for each in (first, second, third)] == [["completed"]] * 3
    assert (watch.record.run, len(watch.events)) == (2, 2)


def test_a_retry_of_a_retry() -> None:
    """Run 3 waits for its own items only; those of run 2 may be gone."""
    watch = ended_partial()
    watch.register("https://a.example/", retried={B: B2})
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "failed")))
    third = watch.register("https://b.example/", retried={B2: B3})
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "failed")))
    assert watch.heard(third) == []
    watch.read(post("completed", item(A, "completed"), item(B3, "completed")))
    assert watch.heard(third) == ["completed"]
    assert watch.fact(third).draft.fact.run == 3


def test_a_full_regeneration_after_a_retry_is_not_held_up_by_its_items() -> None:
    """The awaited item will never be listed again, or never came: the new items end the run all the same."""
    for seen in (False, True):
        watch = ended_partial()
        watch.register("https://a.example/", once=False, retried={B: B2})
        if seen:
            watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
        watch.read(post("generating", item(C, "generating")))
        watch.read(post("completed", item(C, "completed")))
        assert watch.notifications[-1].type == "generated_post.completed"
        assert watch.fact(watch.notifications[-1].callback).draft.fact.data["media_items"][0]["id"] == C


def test_two_retries_at_once_wait_for_both() -> None:
    """Single items retried one after the other: the run ends when both successors were seen."""
    watch = watch_post()
    watch.register("https://first.example/")
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(C, "failed")))
    one = watch.register("https://a.example/", retried={B: B2})
    two = watch.register("https://b.example/", retried={C: C2})
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    assert watch.heard(one) == watch.heard(two) == []
    watch.read(post("completed", item(A, "completed"), item(B2, "completed"), item(C2, "completed")))
    assert watch.heard(one) == watch.heard(two) == ["completed"]


def test_a_retry_that_keeps_its_ids_expects_a_new_run() -> None:
    """The same id as successor says only that the item runs again; it goes on counting."""
    watch = ended_partial()
    retry = watch.register("https://retry.example/", retried={B: B})
    watch.read(PARTIAL)
    assert watch.heard(retry) == []
    watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    watch.read(PARTIAL)
    assert watch.heard(retry) == ["partial"]
    assert watch.fact(retry).draft.fact.run == 2


def test_a_retry_in_the_grace_of_a_404() -> None:
    """One 404 came before the registration: the old ending is still not told again."""
    watch = watch_post()
    watch.register("https://a.example/", once=False)
    watch.read(PARTIAL)
    watch.read(MISSING)
    retry = watch.register("https://retry.example/", retried={B: B2})
    watch.read(PARTIAL)
    assert watch.heard(retry) == []
    watch.read(post("completed", item(A, "completed"), item(B2, "failed")))
    assert watch.heard(retry) == ["partial"]


def test_a_retry_of_a_deleted_post() -> None:
    """Still gone: the event that is there. Back with its new items: their run."""
    watch = ended_partial()
    watch.register("https://a.example/")
    watch.read(MISSING)
    watch.read(MISSING)
    first = watch.register("https://b.example/", retried={B: B2})
    watch.read(MISSING)
    assert watch.heard(first) == ["deleted"]
    second = watch.register("https://c.example/", retried={B: B3})
    watch.read(PARTIAL)
    assert watch.heard(second) == []
    watch.read(post("completed", item(A, "completed"), item(B2, "completed"), item(B3, "completed")))
    assert watch.heard(second) == ["completed"]


def test_a_retry_of_a_post_that_was_timed_out() -> None:
    """The job leaves its tail; the first run's stale end is not told, the retry's is, and is not late."""
    watch = watch_post()
    first = watch.register("https://a.example/")
    while watch.record.state is not JobState.TAIL:
        watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    retry = watch.register("https://b.example/", retried={B: B2})
    watch.read(PARTIAL)
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    assert watch.heard(retry) == ["completed"]
    assert not watch.fact(retry).draft.fact.late
    assert watch.heard(first) == ["timed_out", "completed"], "the first run has no end of its own any more"
    assert [each.late for each in watch.notifications if each.callback == first] == [False, True]


def test_old_failed_items_still_listed_do_not_make_a_retry_partial() -> None:
    """Nobody told of the retry: found by its new ids, the old failures no longer count."""
    watch = watch_post()
    every = watch.register(once=False)
    watch.read(PARTIAL)
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "completed")))
    assert watch.heard(every) == ["partial"], "this read still counted the old item"
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "completed")))
    assert watch.heard(every) == ["partial", "completed"]
    assert watch.replaced == [B]
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "completed")))
    assert watch.record.run == 2


def test_one_of_two_failures_redone_leaves_the_post_partial() -> None:
    """Two failed, one new item came: which one it replaces is not told, so both still count."""
    watch = watch_post()
    every = watch.register(once=False)
    failed = item(A, "completed"), item(B, "failed"), item(C, "failed")
    watch.read(post("completed", *failed))
    watch.read(post("completed", *failed, item(B2, "completed")))
    assert watch.heard(every) == ["partial", "partial"]
    assert watch.record.superseded == ()


def test_a_read_that_did_not_know_of_the_retry_decides_nothing() -> None:
    """Begun before the registration, it counts the old failed item beside its finished successor."""
    watch = ended_partial()
    watch.register("https://first.example/", once=False)
    watch.read(PARTIAL)
    retry = watch.register("https://retry.example/", retried={B: B2})
    both = post("completed", item(A, "completed"), item(B, "failed"), item(B2, "completed"))
    watch.read(both, lens=frozenset())
    assert watch.heard(retry) == []
    watch.read(both)
    assert watch.heard(retry) == ["completed"]


def test_an_item_deleted_while_two_retries_run_hides_neither() -> None:
    """One successor came and another item went: the second successor is still waited for."""
    watch = watch_post()
    watch.register("https://first.example/")
    watch.read(
        post("completed", item(A, "completed"), item(B, "failed"), item(C, "failed"), item(D, "completed"))
    )
    watch.register("https://a.example/", retried={B: B2})
    two = watch.register("https://b.example/", retried={C: C2})
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    assert watch.heard(two) == []
    watch.read(post("completed", item(A, "completed"), item(B2, "completed"), item(C2, "completed")))
    assert watch.heard(two) == ["completed"]
