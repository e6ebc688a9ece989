"""What a 404 means: a grace, a confirming read, a crowd, and coming back."""

from bridge.domain.jobs.records import JobState
from tests.domain.jobs.watched_job import (
    BROKEN,
    MISSING,
    START_MS,
    Candidate,
    simple,
)


def test_an_id_never_seen_has_a_grace() -> None:
    """`.not_found` at the end of 60 seconds of 404, not before."""
    watch = Candidate()
    once = watch.register()
    times = []
    while not watch.heard(once):
        watch.read(MISSING)
        times.append(watch.now_ms - START_MS)
    assert watch.heard(once) == ["not_found"]
    assert times == [0, 15_000, 30_000, 45_000, 60_000]


def test_the_grace_is_scaled_and_ends_with_a_read_of_its_own() -> None:
    """Where the interval does not divide it, the last read falls on its end."""
    watch = Candidate(scale=0.1)
    once = watch.register()
    watch.read(MISSING)
    watch.read(BROKEN)
    while not watch.heard(once):
        watch.read(MISSING)
    assert watch.now_ms - START_MS == 6_000


def test_a_read_begun_within_the_grace_does_not_end_it() -> None:
    """An answer that took long was asked for before the end."""
    watch = Candidate()
    once = watch.register()
    watch.read(MISSING)
    watch.read(MISSING, after_s=59.0, took_ms=3_000)
    assert watch.heard(once) == []
    watch.read(MISSING)
    assert watch.heard(once) == ["not_found"]


def test_an_id_that_appears_within_its_grace_is_watched() -> None:
    """The grace is for upstreams that write an id before it can be read."""
    watch = Candidate()
    once = watch.register()
    watch.read(MISSING)
    watch.read(MISSING)
    watch.read(simple("running"))
    assert watch.record.state is JobState.WATCHING
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_a_lost_id_gets_another_grace_and_no_second_event() -> None:
    """Registered again after `.not_found`: a whole grace, then the event that is there; or it ends as it should."""
    watch = Candidate()
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
    watch = Candidate()
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
    watch = Candidate()
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
    watch = Candidate()
    every = watch.register(once=False, timeout_s=20.0)
    watch.read(simple("completed"))
    watch.read(MISSING)
    watch.read(BROKEN)
    assert watch.heard(every) == ["completed"]


def test_a_job_that_was_seen_is_deleted_by_a_second_404() -> None:
    """Also in the slow tail, where the confirming read comes soon too, and the event is late."""
    watch = Candidate()
    once = watch.register("https://a.example/")
    every = watch.register("https://b.example/", once=False)
    while not watch.heard(once):
        watch.read(simple("running"))
    watch.read(MISSING)
    assert (watch.record.state, watch.delay_ms) == (JobState.TAIL, 2_000)
    watch.read(MISSING)
    assert watch.heard(every) == ["timed_out", "deleted"]
    assert watch.fact(every).draft.fact.late
    later = watch.register("https://c.example/")
    watch.read(MISSING)
    assert watch.heard(later) == ["deleted"]
    assert len({each.event for each in watch.notifications if each.type.endswith("deleted")}) == 1


def test_past_its_deadline_a_missing_job_is_confirmed_first() -> None:
    """`.deleted` is known two seconds later and says more than `.timed_out`."""
    watch = Candidate()
    once = watch.register(timeout_s=10.0)
    watch.read(simple("running"))
    watch.read(MISSING)
    assert watch.heard(once) == []
    watch.read(MISSING)
    assert watch.heard(once) == ["deleted"]


def test_a_crowd_that_vanishes_is_an_outage_first() -> None:
    """Two minutes of 404, and still `.deleted` in the end; or back as if nothing had been."""
    watch = Candidate()
    once = watch.register()
    watch.read(simple("running"))
    gone_ms = watch.now_ms + 15_000
    while not watch.heard(once):
        watch.read(MISSING, vanishing=True)
        assert watch.now_ms - gone_ms < 120_000 or watch.heard(once)
    assert watch.heard(once) == ["deleted"]
    back = Candidate()
    callback = back.register()
    back.read(simple("running"))
    for _ in range(4):
        back.read(MISSING, vanishing=True)
    back.read(simple("completed"))
    assert back.heard(callback) == ["completed"]


def test_a_deleted_job_that_is_back_lives_again() -> None:
    """`once: false` hears of run 2."""
    watch = Candidate()
    every = watch.register(once=False)
    watch.read(simple("running"))
    watch.read(MISSING)
    watch.read(MISSING)
    watch.read(simple("completed"))
    assert watch.heard(every) == ["deleted", "completed"]
    assert watch.fact(every).draft.fact.run == 2
