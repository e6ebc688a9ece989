"""A post that is regenerated keeps its id: what counts as another run, and who waits for which."""

from typing import Any

import pytest

from bridge.domain.job import JobState
from bridge.domain.news import Moment
from bridge.domain.progress import replace_item
from tests.unit.progress_watch import BROKEN, MISSING, Watch, item, outgoing, post, simple

A, B, C, D = "aaaa", "bbbb", "cccc", "dddd"
B2, C2, B3 = "bbbb-2", "cccc-2", "bbbb-3"

DONE = post("completed", item(A, "completed"))
AGAIN = post("generating", item(A, "generating"))
PARTIAL = post("completed", item(A, "completed"), item(B, "failed"))


def watch_post() -> Watch:
    return Watch("generated_post")


def ended_partial() -> Watch:
    """A post of which one item failed, its first callback closed."""
    watch = watch_post()
    watch.register("https://first.example/")
    watch.read(PARTIAL)
    return watch


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
    assert watch.fact(every).news.fact.run == 2


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
    assert watch.fact(new).news.fact.run == 2


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
    assert watch.fact(new).news.fact.run == 2
    assert (watch.record.state, watch.delay_ms) == (JobState.ENDED, 600_000)
    watch.read(AGAIN)
    assert watch.record.state is JobState.TAIL
    watch.read(DONE)
    assert watch.heard(every) == ["timed_out", "completed"]
    fact = watch.fact(every).news.fact
    assert (fact.late, fact.run) == (True, 2)


def test_a_run_seen_in_the_tail_ends_late_for_the_feed() -> None:
    """Nobody is left waiting: the day of slow reads still finds the late run's end."""
    watch = watch_post()
    watch.register(expect="new_run")
    while not watch.letters:
        watch.read(DONE)
    watch.read(AGAIN)
    watch.read(DONE)
    last = list(watch.events.values())[-1].news
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
    assert watch.fact(retry).news.fact.run == 2
    assert watch.replaced == [B]


def test_a_retry_of_a_post_that_was_never_watched() -> None:
    """Its answer is the first that the bridge hears of it."""
    watch = watch_post()
    retry = watch.register(retried={B: B2})
    watch.read(PARTIAL)
    watch.read(post("completed", item(A, "completed"), item(B, "failed"), item(B2, "failed")))
    assert watch.heard(retry) == ["partial"]
    error = watch.fact(retry).news.fact.error or {}
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
    assert watch.fact(third).news.fact.run == 3


def test_a_full_regeneration_after_a_retry_is_not_held_up_by_its_items() -> None:
    """The awaited item will never be listed again, or never came: the new items end the run all the same."""
    for seen in (False, True):
        watch = ended_partial()
        watch.register("https://a.example/", once=False, retried={B: B2})
        if seen:
            watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
        watch.read(post("generating", item(C, "generating")))
        watch.read(post("completed", item(C, "completed")))
        assert watch.letters[-1].type == "generated_post.completed"
        assert watch.fact(watch.letters[-1].callback).news.fact.data["media_items"][0]["id"] == C


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
    assert watch.fact(retry).news.fact.run == 2


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
    watch.register("https://a.example/")
    while watch.record.state is not JobState.TAIL:
        watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    retry = watch.register("https://b.example/", retried={B: B2})
    watch.read(PARTIAL)
    watch.read(post("completed", item(A, "completed"), item(B2, "completed")))
    assert watch.heard(retry) == ["completed"]
    assert not watch.fact(retry).news.fact.late


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


def test_old_facts_do_not_pile_up() -> None:
    """A post regenerated again and again keeps a record of one run's size."""
    watch = watch_post()
    every = watch.register(once=False, events=("*",))
    for run in range(1, 60):
        watch.read(post("generating", item(f"item-{run}", "generating"), review_status="approved"))
        watch.read(post("completed", item(f"item-{run}", "completed"), review_status="pending_review"))
        watch.read(post("completed", item(f"item-{run}", "completed"), review_status="approved"))
    assert watch.record.run == 59
    assert len(watch.record.told) <= 4
    assert watch.heard(every).count("completed") == 59


def test_deliveries_told_do_not_pile_up() -> None:
    """A post that shows ever other deliveries cannot make its record grow for ever."""
    watch = Watch("outgoing_post")
    watch.register(once=False)
    for n in range(30):
        watch.read(outgoing("published", (f"d{n}", "published")))
    assert len(watch.record.told) <= 31


def replace_now(watch: Watch) -> list[str]:
    """Replace the watched item, as its post's reading does."""
    at = Moment(begun_ms=watch.now_ms, now_ms=watch.now_ms)
    moved = replace_item(watch.record, watch.log, key=watch.key, at=at, related={}, pace=watch.pace)
    if moved is None:
        return []
    watch._check(watch.record, moved)
    watch.job, watch.delay_ms = moved.job, moved.delay_ms
    watch.letters += moved.letters
    return [each.type for each in moved.letters]


@pytest.mark.parametrize("word", ["generating", "failed", "completed"])
def test_a_replaced_item_is_told_once_and_stays_replaced(word: str) -> None:
    """Running or ended; that it can still be read as it was is no second life, and newcomers hear `.replaced`."""
    watch = Watch("generated_media_item")
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
    fact = watch.fact(later).news.fact
    assert (fact.outcome, fact.error, fact.run) == ("deleted", None, 1)


def test_a_replaced_item_that_runs_again_lives_again() -> None:
    """It had failed, was taken for replaced, and is being made: run 2."""
    watch = Watch("generated_media_item")
    every = watch.register(once=False)
    watch.read(simple("failed"))
    replace_now(watch)
    watch.read(simple("generating"))
    watch.read(simple("completed"))
    assert watch.heard(every) == ["failed", "replaced", "completed"]


def test_a_replaced_item_closes_who_waits_for_its_next_run() -> None:
    """`expect: new_run` on an item that others took the place of: there will be none."""
    watch = Watch("generated_media_item")
    new = watch.register(expect="new_run")
    watch.read(simple("failed"))
    assert replace_now(watch) == ["generated_media_item.replaced"]
    assert watch.heard(new) == ["replaced"]
    assert watch.delay_ms is None


def test_a_voice_conversion_done_again_is_another_run() -> None:
    """An unknown word between two ends means that it runs."""

    def voice(word: str | None) -> dict[str, Any]:
        return {"data": {"id": "77c1a2b4-0000-4000-8000-000000000010", "voice_conversion_status": word}}

    watch = Watch("voice_conversion")
    every = watch.register(once=False)
    for word in ("completed", "warming up", "completed", None, "failed"):
        watch.read(voice(word))
    assert watch.heard(every) == ["completed", "completed", "failed"]
