"""How long a job is watched: clocks, deadlines, and the slow tail behind them."""

import pytest

from bridge.domain.jobs.records import JobState
from bridge.domain.observation import Throttled
from bridge.domain.subscriptions.callback import CallbackState
from tests.domain.jobs.watched_job import (
    BROKEN,
    DAY_MS,
    MISSING,
    REFUSED,
    START_MS,
    Candidate,
    item,
    outgoing,
    post,
    simple,
)

A, B = "aaaa", "bbbb"


def test_a_job_ends_late_in_its_slow_tail() -> None:
    """`.timed_out`, then reads every ten minutes for a day; an ending is a late event, then nobody reads."""
    watch = Candidate()
    once = watch.register("https://a.example/")
    dropped = watch.register("https://c.example/", late=False)
    every = watch.register("https://b.example/", once=False, events=("*",))
    while not watch.heard(once):
        watch.read(simple("pending"))
    assert watch.now_ms - START_MS == 600_000
    assert watch.record.state is JobState.TAIL
    for _ in range(3):
        assert watch.delay_ms == 600_000
        watch.read(simple("pending"))
    watch.read(simple("failed"))
    assert watch.heard(once) == watch.heard(every) == ["timed_out", "failed"]
    assert watch.heard(dropped) == ["timed_out"]
    assert watch.fact(once) == watch.fact(every)
    assert watch.fact(every).draft.fact.late
    assert watch.callback(once).state is CallbackState.ENDED
    assert watch.callback(dropped).state is CallbackState.TIMED_OUT


def late_ones(watch: Candidate, identifier: str) -> list[bool]:
    """Give for each event that a callback heard whether it is late for this one."""
    return [each.late for each in watch.notifications if each.callback == identifier]


def test_an_ending_is_late_for_those_who_heard_a_time_out() -> None:
    """Of two callbacks on one job one has a longer deadline: the same event is late for the other alone."""
    watch = Candidate()
    short = watch.register("https://a.example/", timeout_s=20.0)
    every = watch.register("https://b.example/", timeout_s=20.0, once=False)
    long = watch.register("https://c.example/")
    while not watch.heard(short):
        watch.read(simple("running"))
    watch.read(simple("completed"))
    assert watch.heard(short) == watch.heard(every) == ["timed_out", "completed"]
    assert watch.fact(short) == watch.fact(long)
    assert (late_ones(watch, short), late_ones(watch, every)) == ([False, True], [False, True])
    assert late_ones(watch, long) == [False]
    assert not watch.fact(long).draft.fact.late


def test_a_late_ending_follows_whoever_else_comes_and_goes() -> None:
    """Another callback brings the job back to its pace and is cancelled: the one that timed out is still waited for."""
    watch = Candidate()
    once = watch.register("https://a.example/")
    while not watch.heard(once):
        watch.read(simple("running"))
    other = watch.register("https://b.example/")
    watch.read(simple("running"))
    watch.cancel(other)
    watch.read(simple("running"))
    assert (watch.record.state, watch.delay_ms) == (JobState.TAIL, 600_000)
    watch.read(simple("completed"))
    assert watch.heard(once) == ["timed_out", "completed"]
    assert watch.delay_ms is None


def test_a_late_ending_comes_within_a_day() -> None:
    """The last read of the tail still counts; what another callback's long watch finds later does not."""
    ends = {True: Candidate(), False: Candidate()}
    for in_time, watch in ends.items():
        once = watch.register("https://a.example/", timeout_s=20.0)
        while not watch.heard(once):
            watch.read(simple("running"))
        if not in_time:
            watch.register("https://b.example/", timeout_s=9 * 86_400.0)
        watch.read(simple("running"), after_s=86_400 - 1)
        watch.read(simple("completed"), after_s=600 if in_time else 3_600)
        assert watch.heard(once) == ["timed_out", "completed"][: 1 + in_time]


def test_a_url_that_is_registered_again_gets_its_late_ending_once() -> None:
    """The new registration takes the place of the one that timed out."""
    watch = Candidate()
    first = watch.register("https://a.example/")
    while not watch.heard(first):
        watch.read(simple("running"))
    again = watch.register("https://a.example/")
    watch.read(simple("completed"))
    assert (watch.heard(first), watch.heard(again)) == (["timed_out"], ["completed"])
    assert watch.delay_ms is None


@pytest.mark.parametrize("word", ["deleted", "not_found"])
def test_a_job_that_is_gone_is_a_late_ending_too(word: str) -> None:
    """Seen and gone, or never seen: both say more than that no end was seen in time."""
    watch = Candidate()
    once = watch.register(timeout_s=1.0)
    watch.read(simple("running") if word == "deleted" else BROKEN, after_s=2)
    assert watch.heard(once) == ["timed_out"]
    watch.read(MISSING)
    watch.read(MISSING)
    assert watch.heard(once) == ["timed_out", word]


def test_a_run_that_did_not_come_in_time_ends_late() -> None:
    """`expect: new_run` on a completed post: the old ending does not follow its time-out, the next run's does."""
    watch = Candidate("generated_post")
    once = watch.register(expect="new_run", timeout_s=1.0)
    watch.read(post("completed", item(A, "completed")), after_s=2)
    for status in ("completed", "completed"):
        watch.read(post(status, item(A, "completed")))
    assert watch.heard(once) == ["timed_out"]
    watch.read(post("generating", item(B, "generating")))
    watch.read(post("failed", item(B, "failed")))
    assert watch.heard(once) == ["timed_out", "failed"]
    assert watch.fact(once).draft.fact.run == 2


def test_the_tail_lasts_a_day_for_a_callback_that_timed_out() -> None:
    """With nobody left waiting the tail is read for 24 hours and then left alone."""
    watch = Candidate(scale=0.5)
    watch.register()
    while watch.delay_ms is not None:
        watch.read(simple("running"))
    lasted_ms = watch.now_ms - START_MS - 300_000
    assert DAY_MS <= lasted_ms <= DAY_MS + 300_000
    assert watch.record.state is JobState.TAIL


def test_with_a_refused_key_the_clock_runs_on() -> None:
    """`.timed_out` then says `unauthorized`; the outcome is unknown."""
    watch = Candidate()
    once = watch.register()
    watch.read(REFUSED)
    while not watch.heard(once):
        watch.read(REFUSED, auth_refused="o1")
    assert 600_000 <= watch.now_ms - START_MS <= 660_000
    fact = watch.fact(once).draft.fact
    assert (fact.word, fact.outcome, (fact.error or {})["code"]) == ("timed_out", "unknown", "unauthorized")


def test_a_429_is_no_read() -> None:
    """Past its deadline a job that only hears 429 is not timed out; the first real read decides."""
    watch = Candidate()
    once = watch.register(timeout_s=5.0)
    watch.read(simple("running"))
    for _ in range(5):
        watch.read(Throttled(until_ms=watch.now_ms + 60_000))
        assert watch.heard(once) == []
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_a_read_begun_before_the_deadline_times_nobody_out() -> None:
    """A slow answer that comes after the deadline was asked for before it."""
    watch = Candidate()
    once = watch.register(timeout_s=10.0)
    watch.read(simple("running"), after_s=9.5, took_ms=5_000)
    assert watch.heard(once) == []
    watch.read(simple("running"))
    assert watch.heard(once) == ["timed_out"]


def test_an_unconfirmed_401_times_nobody_out() -> None:
    """Past the deadline a first 401 may be a slip: the confirming read tells."""
    watch = Candidate()
    once = watch.register(timeout_s=5.0)
    watch.read(simple("running"))
    watch.read(REFUSED)
    assert watch.heard(once) == []
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_a_posts_clock_restarts_when_an_item_ends() -> None:
    """Documented times are per item: ten more minutes from the first item's end."""
    watch = Candidate("generated_post")
    once = watch.register()
    watch.read(post("generating", item(A, "generating"), item(B, "pending")))
    watch.read(post("generating", item(A, "completed"), item(B, "generating")), after_s=500)
    ended_ms = watch.now_ms
    while not watch.heard(once):
        watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    assert watch.heard(once) == ["timed_out"]
    assert 600_000 <= watch.now_ms - ended_ms < 615_000


def test_what_had_ended_before_the_first_read_moves_no_clock() -> None:
    """Nobody knows when it ended: the clock counts from the registration."""
    watch = Candidate("generated_post")
    once = watch.register()
    watch.read(post("generating", item(A, "completed"), item(B, "generating")), after_s=300)
    while not watch.heard(once):
        watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    assert 600_000 <= watch.now_ms - START_MS < 615_000


def test_images_are_given_up_sooner_than_videos() -> None:
    """Five minutes while only images are pending, ten with a video."""
    watch = Candidate("generated_post")
    once = watch.register()
    while not watch.heard(once):
        watch.read(post("generating", item(A, "generating", "image")))
    assert watch.now_ms - START_MS == 300_000


def test_a_publications_clock_starts_with_its_first_delivery() -> None:
    """Hours as a draft count for nothing; put back to a draft, the clock stops."""
    watch = Candidate("outgoing_post")
    once = watch.register()
    watch.read(outgoing("draft"))
    watch.read(outgoing("publishing", ("d1", "pending")), after_s=36_000)
    assert watch.delay_ms == 10_000
    watch.read(outgoing("scheduled", ("d1", "pending"), scheduled_for="2999-01-01T00:00:00Z"))
    watch.read(outgoing("scheduled", ("d1", "pending")), after_s=36_000)
    assert watch.heard(once) == []
    watch.read(outgoing("publishing", ("d1", "pending")))
    began_ms = watch.now_ms
    while not watch.heard(once):
        watch.read(outgoing("publishing", ("d1", "processing")))
    assert watch.now_ms - began_ms == 180_000


def test_own_timeouts_are_unscaled_and_from_the_registration() -> None:
    """Two callbacks, two deadlines, two events with the object as it is by then; the tail begins after the last."""
    watch = Candidate(scale=0.1)
    short = watch.register("https://a.example/", timeout_s=20.0)
    long = watch.register("https://b.example/", timeout_s=100.0)
    documented = watch.register("https://c.example/")
    while not watch.heard(short):
        watch.read(simple("pending"))
    assert 20_000 <= watch.now_ms - START_MS <= 21_500
    assert watch.delay_ms == 1_500
    while not watch.heard(documented):
        watch.read(simple("running"))
    assert 60_000 <= watch.now_ms - START_MS <= 61_500
    while not watch.heard(long):
        watch.read(simple("running"))
    assert watch.record.state is JobState.TAIL
    statuses = [watch.fact(each).draft.fact.data["status"] for each in (short, documented, long)]
    assert statuses == ["pending", "running", "running"]
    assert len({each.event for each in watch.notifications}) == 3


def test_own_timeout_of_a_later_run_counts_from_that_run() -> None:
    """`once: false` with `timeout_seconds` is not told `.timed_out` the moment that run 2 begins."""
    watch = Candidate("generated_post")
    every = watch.register(once=False, timeout_s=60.0)
    watch.read(post("completed", item(A, "completed")))
    watch.read(post("generating", item(B, "generating")))
    assert watch.heard(every) == ["completed"]
    while watch.heard(every)[-1] != "timed_out":
        watch.read(post("generating", item(B, "generating")))
    assert 60_000 <= watch.now_ms - watch.record.run_ms <= 75_000


def test_registering_again_after_a_time_out_watches_again() -> None:
    """The job leaves its tail for the documented pace, and the new callback has a deadline of its own."""
    watch = Candidate()
    watch.register("https://a.example/")
    while watch.record.state is not JobState.TAIL:
        watch.read(simple("running"))
    again = watch.register("https://b.example/")
    assert str(watch.record.state) == "watching"
    watch.read(simple("running"))
    assert watch.delay_ms == 15_000
    watch.read(simple("completed"))
    assert watch.heard(again) == ["completed"]
    assert not watch.fact(again).draft.fact.late


def test_repeating_a_timed_out_registration_does_not_leave_the_tail() -> None:
    """`once: false` was told that its time is over: updating it does not read its job every 15 s for a day."""
    watch = Candidate()
    every = watch.register(once=False)
    while not watch.heard(every):
        watch.read(simple("running"))
    assert watch.register(once=False) == every
    watch.read(simple("running"))
    assert watch.delay_ms == 600_000


def test_a_watch_without_deadlines_ahead_goes_slow() -> None:
    """The callback with the later deadline is cancelled: what is left was told its time-out."""
    watch = Candidate()
    every = watch.register("https://a.example/", once=False, timeout_s=20.0)
    other = watch.register("https://b.example/")
    while not watch.heard(every):
        watch.read(simple("running"))
    assert watch.delay_ms == 15_000
    watch.cancel(other)
    watch.read(simple("running"))
    assert (watch.record.state, watch.delay_ms) == (JobState.TAIL, 600_000)
