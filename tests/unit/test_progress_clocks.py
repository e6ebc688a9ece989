"""When a job is read, how long it is watched, and what a 404 means."""

import pytest

from bridge.domain.cadence import Pace, backoff_s
from bridge.domain.job import CallbackState, JobState
from bridge.domain.reading import Limited, Reading, Unavailable
from tests.unit.progress_watch import (
    BROKEN,
    DAY_MS,
    FORBIDDEN,
    MISSING,
    ODD,
    REFUSED,
    START_MS,
    Watch,
    item,
    outgoing,
    post,
    simple,
)

A, B = "aaaa", "bbbb"


@pytest.mark.parametrize("scale", [1.0, 0.02])
@pytest.mark.parametrize(
    ("kind", "running", "interval_s"),
    [
        ("sync_job", simple("running"), 15),
        ("generated_post", post("generating", item(A, "generating", "video")), 15),
        ("generated_post", post("generating", item(A, "pending", "image"), item(B, "pending")), 10),
        ("generated_media_item", simple("pending", media_type="image"), 10),
        ("generated_media_item", simple("pending", media_type="video"), 15),
        ("voice_conversion", {"data": {"status": "completed", "voice_conversion_status": "queued"}}, 10),
        ("outgoing_post", outgoing("publishing", ("d1", "pending")), 10),
        ("reelbot_video", {"status": "queued"}, 5),
    ],
)
def test_running_jobs_are_read_on_their_documented_interval(
    kind: str, running: dict[str, object], interval_s: float, scale: float
) -> None:
    """ReelMirror "Webhooks" and ReelBot "Check Status", times the scale."""
    watch = Watch(kind, scale=scale)
    watch.register()
    for _ in range(3):
        watch.read(running)
        assert watch.delay_ms == round(interval_s * scale * 1000)


def test_the_first_read_is_at_once() -> None:
    """A new job, and an ended one that gets a new callback, are read now; a watched one keeps its pace."""
    watch = Watch()
    assert watch.enrol("https://a.example/").hasten
    watch.read(simple("running"))
    assert not watch.enrol("https://b.example/").hasten
    watch.read(simple("completed"))
    assert watch.enrol("https://c.example/").hasten


def test_broken_answers_back_off() -> None:
    """5 s, times 1.5, up to a minute; a 429 in between is no answer; a good one starts anew."""
    watch = Watch()
    watch.register()
    delays = []
    for _ in range(9):
        watch.read(BROKEN)
        delays.append(watch.delay_ms)
    assert delays[:4] == [5_000, 7_500, 11_250, 16_875]
    assert delays[-2:] == [60_000, 60_000]
    watch.read(Limited(until_ms=watch.now_ms + 5_000))
    watch.read(BROKEN)
    assert watch.delay_ms == 60_000
    watch.read(simple("running"))
    watch.read(BROKEN)
    assert watch.delay_ms == 5_000


@pytest.mark.parametrize("streak", [1, 12, 13, 10_000])
def test_the_back_off_never_passes_a_minute(streak: int) -> None:
    """However long an outage lasts."""
    assert 5.0 <= backoff_s(streak) <= 60.0


@pytest.mark.parametrize(
    ("reading", "delay_ms"),
    [
        (Unavailable(wait_s=60.0), 60_000),
        (
            Unavailable(wait_s=1.0),
            15_000,
        ),  # `Retry-After: 1` does not make a job read more often than documented
        (Unavailable(wait_s=600.0), 600_000),
        (ODD, 15_000),
    ],
)
def test_answers_that_show_no_state(reading: Reading, delay_ms: int) -> None:
    """503 waits as it asks, others keep the interval; none of them changes the job."""
    watch = Watch()
    watch.register()
    watch.read(simple("running"))
    before = watch.record
    assert watch.read(reading) == []
    assert (watch.delay_ms, watch.record) == (delay_ms, before)


def test_a_429_waits_for_its_reset() -> None:
    """Until the reset, at least a second."""
    watch = Watch()
    watch.register()
    watch.read(Limited(until_ms=START_MS + 42_000))
    assert watch.delay_ms == 42_000
    watch.read(Limited(until_ms=watch.now_ms - 5_000))
    assert watch.delay_ms == 1_000


@pytest.mark.parametrize("refusal", [REFUSED, FORBIDDEN])
def test_a_refusal_is_confirmed_soon_and_then_tried_every_minute(refusal: Reading) -> None:
    """401 and 403: two seconds, then sixty, times the scale."""
    watch = Watch(scale=0.5)
    watch.register()
    watch.read(refusal)
    assert watch.delay_ms == 1_000
    watch.read(refusal, outage="o")
    assert watch.delay_ms == 30_000
    assert watch.record.state is JobState.WATCHING


def test_an_unconfirmed_401_times_nobody_out() -> None:
    """Past the deadline a first 401 may be a slip: the confirming read tells."""
    watch = Watch()
    once = watch.register(timeout_s=5.0)
    watch.read(simple("running"))
    watch.read(REFUSED)
    assert watch.heard(once) == []
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_an_id_never_seen_has_a_grace() -> None:
    """`.not_found` at the end of 60 seconds of 404, not before."""
    watch = Watch()
    once = watch.register()
    times = []
    while not watch.heard(once):
        watch.read(MISSING)
        times.append(watch.now_ms - START_MS)
    assert watch.heard(once) == ["not_found"]
    assert times == [0, 15_000, 30_000, 45_000, 60_000]


def test_the_grace_is_scaled_and_ends_with_a_read_of_its_own() -> None:
    """Where the interval does not divide it, the last read falls on its end."""
    watch = Watch(scale=0.1)
    once = watch.register()
    watch.read(MISSING)
    watch.read(BROKEN)
    while not watch.heard(once):
        watch.read(MISSING)
    assert watch.now_ms - START_MS == 6_000


def test_a_read_begun_within_the_grace_does_not_end_it() -> None:
    """An answer that took long was asked for before the end."""
    watch = Watch()
    once = watch.register()
    watch.read(MISSING)
    watch.read(MISSING, after_s=59.0, took_ms=3_000)
    assert watch.heard(once) == []
    watch.read(MISSING)
    assert watch.heard(once) == ["not_found"]


def test_an_id_that_appears_within_its_grace_is_watched() -> None:
    """The grace is for upstreams that write an id before it can be read."""
    watch = Watch()
    once = watch.register()
    watch.read(MISSING)
    watch.read(MISSING)
    watch.read(simple("running"))
    assert watch.record.state is JobState.WATCHING
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_a_lost_id_gets_another_grace_and_no_second_event() -> None:
    """Registered again after `.not_found`: a whole grace, then the event that is there; or it ends as it should."""
    watch = Watch()
    watch.register("https://a.example/")
    while watch.delay_ms is not None:
        watch.read(MISSING)
    again = watch.register("https://b.example/")
    began_ms = watch.now_ms
    while not watch.heard(again):
        watch.read(MISSING)
    assert (watch.now_ms - began_ms, len(watch.events)) == (60_000, 1)
    third = watch.register("https://c.example/")
    watch.read(simple("completed"))
    assert watch.heard(third) == ["completed"]
    assert watch.record.run == 1


def test_a_job_found_after_all_has_a_clock_again() -> None:
    """`once: false` heard `.not_found`; the job then shows, and is watched at its pace to its end or time-out."""
    watch = Watch()
    every = watch.register(once=False)
    while not watch.heard(every):
        watch.read(MISSING)
    assert watch.delay_ms == 600_000
    watch.read(simple("running"))
    assert watch.delay_ms == 15_000
    while watch.record.state is not JobState.TAIL:
        watch.read(simple("running"))
    watch.read(simple("completed"))
    assert watch.heard(every) == ["not_found", "timed_out", "completed"]


def test_a_404_between_two_good_reads_changes_nothing() -> None:
    """Read again after two seconds; the job is as it was, running or ended."""
    watch = Watch()
    once = watch.register("https://a.example/")
    every = watch.register("https://b.example/", once=False)
    watch.read(simple("running"))
    before = watch.record
    watch.read(MISSING)
    assert (watch.record.state, watch.delay_ms) == (JobState.MISSING, 2_000)
    watch.read(simple("running"))
    assert watch.record == before
    watch.read(simple("completed"))
    before = watch.record
    watch.read(MISSING)
    assert watch.delay_ms == 2_000
    watch.read(simple("completed"))
    assert watch.record == before
    assert (watch.heard(once), watch.heard(every)) == (["completed"], ["completed"])


def test_a_404_after_the_end_does_not_time_the_job_out() -> None:
    """A callback that heard `completed` has no deadline any more, even while the job is missing."""
    watch = Watch()
    every = watch.register(once=False, timeout_s=20.0)
    watch.read(simple("completed"))
    watch.read(MISSING)
    watch.read(BROKEN)
    assert watch.heard(every) == ["completed"]


def test_a_job_that_was_seen_is_deleted_by_a_second_404() -> None:
    """Also in the slow tail, where the confirming read comes soon too, and the event is late."""
    watch = Watch()
    once = watch.register("https://a.example/")
    every = watch.register("https://b.example/", once=False)
    while not watch.heard(once):
        watch.read(simple("running"))
    watch.read(MISSING)
    assert (watch.record.state, watch.delay_ms) == (JobState.TAIL, 2_000)
    watch.read(MISSING)
    assert watch.heard(every) == ["timed_out", "deleted"]
    assert watch.fact(every).news.fact.late
    later = watch.register("https://c.example/")
    watch.read(MISSING)
    assert watch.heard(later) == ["deleted"]
    assert len({each.event for each in watch.letters if each.type.endswith("deleted")}) == 1


def test_past_its_deadline_a_missing_job_is_confirmed_first() -> None:
    """`.deleted` is known two seconds later and says more than `.timed_out`."""
    watch = Watch()
    once = watch.register(timeout_s=10.0)
    watch.read(simple("running"))
    watch.read(MISSING)
    assert watch.heard(once) == []
    watch.read(MISSING)
    assert watch.heard(once) == ["deleted"]


def test_a_crowd_that_vanishes_is_an_outage_first() -> None:
    """Two minutes of 404, and still `.deleted` in the end; or back as if nothing had been."""
    watch = Watch()
    once = watch.register()
    watch.read(simple("running"))
    gone_ms = watch.now_ms + 15_000
    while not watch.heard(once):
        watch.read(MISSING, vanishing=True)
        assert watch.now_ms - gone_ms < 120_000 or watch.heard(once)
    assert watch.heard(once) == ["deleted"]
    back = Watch()
    callback = back.register()
    back.read(simple("running"))
    for _ in range(4):
        back.read(MISSING, vanishing=True)
    back.read(simple("completed"))
    assert back.heard(callback) == ["completed"]


def test_a_deleted_job_that_is_back_lives_again() -> None:
    """`once: false` hears of run 2."""
    watch = Watch()
    every = watch.register(once=False)
    watch.read(simple("running"))
    watch.read(MISSING)
    watch.read(MISSING)
    watch.read(simple("completed"))
    assert watch.heard(every) == ["deleted", "completed"]
    assert watch.fact(every).news.fact.run == 2


def test_a_posts_clock_restarts_when_an_item_ends() -> None:
    """Documented times are per item: ten more minutes from the first item's end."""
    watch = Watch("generated_post")
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
    watch = Watch("generated_post")
    once = watch.register()
    watch.read(post("generating", item(A, "completed"), item(B, "generating")), after_s=300)
    while not watch.heard(once):
        watch.read(post("generating", item(A, "completed"), item(B, "generating")))
    assert 600_000 <= watch.now_ms - START_MS < 615_000


def test_images_are_given_up_sooner_than_videos() -> None:
    """Five minutes while only images are pending, ten with a video."""
    watch = Watch("generated_post")
    once = watch.register()
    while not watch.heard(once):
        watch.read(post("generating", item(A, "generating", "image")))
    assert watch.now_ms - START_MS == 300_000


def test_a_draft_is_read_once_a_minute_for_thirty_days() -> None:
    """It has no clock; after thirty days it is given up."""
    watch = Watch("outgoing_post")
    once = watch.register()
    watch.read(outgoing("draft"))
    assert watch.delay_ms == 60_000
    watch.read(outgoing("draft"), after_s=29.99 * 86_400)
    assert watch.heard(once) == []
    watch.read(outgoing("draft"), after_s=0.02 * 86_400)
    assert watch.heard(once) == ["timed_out"]
    assert watch.now_ms - START_MS >= 30 * DAY_MS


def test_a_scheduled_post_is_read_at_its_time() -> None:
    """Once a minute, and at `scheduled_for`, but never more often than while it publishes."""
    watch = Watch("outgoing_post", now_ms=1_767_607_200_000)  # 2026-01-05T10:00:00Z
    watch.register()
    scheduled = outgoing("scheduled", ("d1", "pending"), scheduled_for="2026-01-05T10:01:25Z")
    for delay_ms in (60_000, 25_000, 60_000):
        watch.read(scheduled)
        assert watch.delay_ms == delay_ms
    watch.read(outgoing("scheduled", scheduled_for="2026-01-05T10:02:30Z"))
    assert watch.delay_ms == 10_000


def test_a_publications_clock_starts_with_its_first_delivery() -> None:
    """Hours as a draft count for nothing; put back to a draft, the clock stops."""
    watch = Watch("outgoing_post")
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
    watch = Watch(scale=0.1)
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
    statuses = [watch.fact(each).news.fact.data["status"] for each in (short, documented, long)]
    assert statuses == ["pending", "running", "running"]
    assert len({each.event for each in watch.letters}) == 3


def test_own_timeout_of_a_later_run_counts_from_that_run() -> None:
    """`once: false` with `timeout_seconds` is not told `.timed_out` the moment that run 2 begins."""
    watch = Watch("generated_post")
    every = watch.register(once=False, timeout_s=60.0)
    watch.read(post("completed", item(A, "completed")))
    watch.read(post("generating", item(B, "generating")))
    assert watch.heard(every) == ["completed"]
    while watch.heard(every)[-1] != "timed_out":
        watch.read(post("generating", item(B, "generating")))
    assert 60_000 <= watch.now_ms - watch.record.run_ms <= 75_000


def test_registering_again_after_a_time_out_watches_again() -> None:
    """The job leaves its tail for the documented pace, and the new callback has a deadline of its own."""
    watch = Watch()
    watch.register("https://a.example/")
    while watch.record.state is not JobState.TAIL:
        watch.read(simple("running"))
    again = watch.register("https://b.example/")
    assert str(watch.record.state) == "watching"
    watch.read(simple("running"))
    assert watch.delay_ms == 15_000
    watch.read(simple("completed"))
    assert watch.heard(again) == ["completed"]
    assert not watch.fact(again).news.fact.late


def test_repeating_a_timed_out_registration_does_not_leave_the_tail() -> None:
    """`once: false` was told that its time is over: updating it does not read its job every 15 s for a day."""
    watch = Watch()
    every = watch.register(once=False)
    while not watch.heard(every):
        watch.read(simple("running"))
    assert watch.register(once=False) == every
    watch.read(simple("running"))
    assert watch.delay_ms == 600_000


def test_a_watch_without_deadlines_ahead_goes_slow() -> None:
    """The callback with the later deadline is cancelled: what is left was told its time-out."""
    watch = Watch()
    every = watch.register("https://a.example/", once=False, timeout_s=20.0)
    other = watch.register("https://b.example/")
    while not watch.heard(every):
        watch.read(simple("running"))
    assert watch.delay_ms == 15_000
    watch.cancel(other)
    watch.read(simple("running"))
    assert (watch.record.state, watch.delay_ms) == (JobState.TAIL, 600_000)


def test_a_job_that_nobody_waits_for_is_not_read() -> None:
    """Cancelled: no next read; a tail is kept only for a callback that timed out."""
    watch = Watch()
    other = watch.register()
    watch.cancel(other)
    watch.read(simple("running"))
    assert watch.delay_ms is None
    tail = Watch()
    every = tail.register(once=False)
    while not tail.heard(every):
        tail.read(simple("running"))
    tail.cancel(every)
    tail.read(simple("running"))
    assert tail.delay_ms is None
    assert tail.callback(every).state is CallbackState.CANCELLED


def test_a_scaled_time_is_never_nothing() -> None:
    """A scale near zero polls fast, it does not spin without a pause."""
    assert Pace(scale=0.000001).ms(5) == 1
