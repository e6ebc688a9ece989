"""Every kind, every ending: from answers as the upstream writes them to what a callback hears."""

from typing import Any

import pytest

from bridge.domain.event_types import EVENT_TYPES
from bridge.domain.job import CallbackState, JobState
from bridge.domain.marks import read_marks
from bridge.domain.reading import Limited
from tests.unit.progress_watch import (
    BROKEN,
    DAY_MS,
    JOB_ID,
    MISSING,
    ODD,
    REFUSED,
    START_MS,
    UNAVAILABLE,
    Watch,
    item,
    outgoing,
    post,
    simple,
)

A, B = "aaaa", "bbbb"


def voice(status: str | None) -> dict[str, Any]:
    return {"data": {"id": JOB_ID, "status": "completed", "voice_conversion_status": status}}


def video(status: str) -> dict[str, Any]:
    return {"status": status, "message": "x", "createdAt": "2026-01-05T10:30:00.000Z"}


ENDINGS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    # kind, an answer while it runs, the answer that ends it, word, outcome
    ("sync_job", simple("running"), simple("completed"), "completed", "succeeded"),
    ("sync_job", simple("pending"), simple("failed", error_message="private"), "failed", "failed"),
    ("sync_job", simple("pending"), simple("skipped"), "skipped", "skipped"),
    (
        "generated_post",
        post("generating", item(A, "generating")),
        post("completed", item(A, "completed")),
        "completed",
        "succeeded",
    ),
    (
        "generated_post",
        post("completed"),  # no items yet: never done
        post("completed", item(A, "completed"), item(B, "failed")),
        "partial",
        "partial",
    ),
    (
        "generated_post",
        post("completed", item(A, "generating")),  # the post's word comes before its items'
        post("failed", item(A, "failed")),
        "failed",
        "failed",
    ),
    ("generated_post", post("generating"), post("failed"), "failed", "failed"),
    ("generated_media_item", simple("generating"), simple("completed"), "completed", "succeeded"),
    ("generated_media_item", simple("pending"), simple("failed"), "failed", "failed"),
    ("voice_conversion", voice(None), voice("completed"), "completed", "succeeded"),
    ("voice_conversion", voice("warming up"), voice("failed"), "failed", "failed"),
    (
        "outgoing_post",
        outgoing("publishing", ("d1", "pending")),
        outgoing("publishing", ("d1", "published")),
        "published",
        "succeeded",
    ),
    (
        "outgoing_post",
        outgoing("published", ("d1", "published"), ("d2", "processing")),
        outgoing("published", ("d1", "published"), ("d2", "failed")),
        "partial",
        "partial",
    ),
    ("outgoing_post", outgoing("draft"), outgoing("whatever", ("d1", "failed")), "failed", "failed"),
    ("reelbot_video", video("queued"), video("completed"), "completed", "succeeded"),
    ("reelbot_video", video("processing"), video("failed"), "failed", "failed"),
]


@pytest.mark.parametrize(("kind", "running", "ended", "word", "outcome"), ENDINGS)
@pytest.mark.parametrize("reads_before", [0, 1], ids=["ended at the first read", "seen running"])
def test_a_callback_hears_how_its_job_ended(
    kind: str, running: dict[str, Any], ended: dict[str, Any], word: str, outcome: str, reads_before: int
) -> None:
    """Each ending of each kind closes a callback with one event, and the job is then left alone."""
    watch = Watch(kind)
    callback = watch.register()
    for _ in range(reads_before):
        assert watch.read(running) == []
        assert watch.record.state is JobState.WATCHING
    assert watch.read(ended) == [f"{kind}.{word}"]
    fact = watch.fact(callback).news.fact
    assert (fact.word, fact.outcome, fact.run, fact.late) == (word, outcome, 1, False)
    assert fact.data["id"] == JOB_ID
    assert (fact.error is not None) == (outcome in ("failed", "partial"))
    assert watch.callback(callback).state is CallbackState.ENDED
    assert watch.delay_ms is None
    assert watch.record.state is JobState.ENDED


@pytest.mark.parametrize("kind", sorted({row[0] for row in ENDINGS}))
def test_every_kind_can_be_gone_lost_or_overdue(kind: str) -> None:
    """`.not_found`, `.deleted` and `.timed_out` are there for every kind, with outcome and error code."""
    running = next(row[1] for row in ENDINGS if row[0] == kind)
    lost = Watch(kind)
    lost.register()
    while lost.delay_ms is not None:
        lost.read(MISSING)
    assert [each.type for each in lost.letters] == [f"{kind}.not_found"]

    gone = Watch(kind)
    gone.register()
    gone.read(running)
    gone.read(MISSING)
    gone.read(MISSING)
    assert [each.type for each in gone.letters] == [f"{kind}.deleted"]

    late = Watch(kind)
    late.register(timeout_s=40.0)
    while not late.letters:
        late.read(running)
    assert [each.type for each in late.letters] == [f"{kind}.timed_out"]
    codes = [next(iter(each.events.values())).news.fact for each in (lost, gone, late)]
    assert [(f.outcome, (f.error or {})["code"]) for f in (codes[0], gone_fact(gone), late_fact(late))] == [
        ("unknown", "not_found"),
        ("deleted", "deleted"),
        ("unknown", "watch_timeout"),
    ]


def gone_fact(watch: Watch) -> Any:
    return watch.events[watch.letters[-1].event].news.fact


late_fact = gone_fact


@pytest.mark.parametrize("kind", sorted({row[0] for row in ENDINGS}))
def test_progress_is_told_once_to_those_who_asked(kind: str) -> None:
    """A progress event is told once a run, to `once: false` alone, however often the state is read."""
    words = {
        "voice_conversion": voice("processing"),
        "outgoing_post": outgoing("publishing", ("d", "pending")),
    }
    running = {
        "sync_job": simple("running"),
        "generated_post": post("generating", item(A, "generating")),
        "generated_media_item": simple("generating"),
        "reelbot_video": video("processing"),
        **words,
    }[kind]
    watch = Watch(kind)
    once = watch.register("https://a.example/", events=(f"{kind}.*",))
    every = watch.register("https://b.example/", events=(f"{kind}.*",), once=False)
    first = watch.read(running)
    assert len(first) == 1
    assert not EVENT_TYPES[first[0]].ending
    for _ in range(5):
        assert watch.read(running) == []
    assert (watch.heard(once), len(watch.heard(every))) == ([], 1)


def test_reading_the_same_state_again_writes_nothing() -> None:
    """A poll that brings nothing new leaves the record as it is: it costs no commit."""
    watch = Watch("generated_post")
    watch.register()
    watch.read(post("generating", item(A, "generating")))
    for reading in (post("generating", item(A, "generating")), BROKEN, ODD, UNAVAILABLE):
        before = watch.record
        watch.read(reading)
        assert watch.record == before


def test_an_ending_is_told_once_however_often_it_is_seen() -> None:
    """`once: false` goes on being read slowly after the end and hears it only once."""
    watch = Watch()
    every = watch.register(once=False)
    watch.read(simple("completed"))
    for _ in range(5):
        before = watch.record
        assert watch.read(simple("completed")) == []
        assert watch.record == before
        assert watch.delay_ms == 600_000
    assert watch.heard(every) == ["completed"]


def test_a_callback_that_comes_after_the_ending_hears_the_same_event() -> None:
    """Registered late, with or without `once`: the event that is there, once, after a read that confirmed it."""
    watch = Watch()
    first = watch.register("https://a.example/")
    watch.read(simple("completed"))
    later = watch.register("https://b.example/")
    every = watch.register("https://c.example/", once=False)
    watch.read(BROKEN)
    assert watch.heard(later) == []
    assert watch.delay_ms == 5_000, "it is not left to the slow tail"
    watch.read(simple("completed"))
    watch.read(simple("completed"))
    ids = {each.event for each in watch.letters}
    assert (watch.heard(first), watch.heard(later), watch.heard(every)) == (["completed"],) * 3
    assert len(ids) == len(watch.events) == 1


def test_a_late_callback_is_not_silenced_by_an_upstream_that_stays_broken() -> None:
    """The old ending cannot be confirmed: the newcomer hears `.timed_out` in its time."""
    watch = Watch()
    watch.register("https://a.example/")
    watch.read(simple("completed"))
    later = watch.register("https://b.example/")
    began_ms = watch.now_ms
    while not watch.heard(later):
        watch.read(BROKEN)
    assert watch.heard(later) == ["timed_out"]
    assert watch.now_ms - began_ms >= 600_000


def test_a_filter_keeps_the_letter_not_the_callback() -> None:
    """A callback that asked only for `failed` closes in silence when its job completes."""
    watch = Watch()
    picky = watch.register(events=("sync_job.failed",))
    assert watch.read(simple("completed")) == []
    assert watch.callback(picky).state is CallbackState.ENDED
    assert watch.delay_ms is None


@pytest.mark.parametrize("strange", ["archived", "", "COMPLETELY", None, 7])
def test_an_unknown_state_never_ends_a_job(strange: Any) -> None:
    """Words of no table, missing ones, other types: still running, and the timeline says so."""
    watch = Watch()
    callback = watch.register()
    watch.read(simple(strange))
    assert watch.heard(callback) == []
    assert watch.record.state is JobState.WATCHING
    assert "unknown to us" in read_marks(watch.log)[-1].note


def test_each_delivery_is_told_once_over_all_runs() -> None:
    """A retried delivery starts run 2 of its post; the one that had been published is not told again."""
    watch = Watch("outgoing_post")
    every = watch.register(once=False, events=("publishing_delivery.*", "outgoing_post.*"))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "pending")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "failed")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "pending")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "failed")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "publishing")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "published")))
    told = [
        (watch.events[each.event].news.fact.job_id, each.type)
        for each in watch.letters
        if each.type.startswith("publishing_delivery.")
    ]
    assert told == [
        ("d1", "publishing_delivery.published"),
        ("d2", "publishing_delivery.failed"),
        ("d2", "publishing_delivery.failed"),  # failed again after another try: another fact
        ("d2", "publishing_delivery.published"),
    ]
    endings = [word for word in watch.heard(every) if word in ("partial", "published")]
    assert endings[-1] == "published"
    assert watch.record.run == 3


def test_reviews_are_told_once_and_words_of_endings_are_no_reviews() -> None:
    """`review_status: failed` is not `generated_post.failed`; `approved` outlives a new run untold."""
    watch = Watch("generated_post")
    every = watch.register(once=False, events=("*",))
    watch.read(post("completed", item(A, "completed"), review_status="failed"))
    watch.read(post("completed", item(A, "completed"), review_status="approved"))
    watch.read(post("generating", item(B, "generating"), review_status="approved"))
    watch.read(post("completed", item(B, "completed"), review_status="approved"))
    assert watch.heard(every) == ["completed", "approved", "generating", "completed"]
    watch.read(post("completed", item(B, "completed"), review_status="pending_review"))
    assert watch.read(post("completed", item(B, "completed"), review_status="approved")) == [
        "generated_post.approved"
    ]


def test_a_job_ends_late_in_its_slow_tail() -> None:
    """`.timed_out`, then reads every ten minutes for a day; an ending is a late event, then nobody reads."""
    watch = Watch()
    once = watch.register("https://a.example/")
    every = watch.register("https://b.example/", once=False, events=("*",))
    while not watch.heard(once):
        watch.read(simple("pending"))
    assert watch.now_ms - START_MS == 600_000
    assert watch.record.state is JobState.TAIL
    for _ in range(3):
        assert watch.delay_ms == 600_000
        watch.read(simple("pending"))
    watch.read(simple("failed"))
    assert watch.heard(once) == ["timed_out"]
    assert watch.heard(every) == ["timed_out", "failed"]
    assert watch.fact(every).news.fact.late


def test_the_tail_lasts_a_day_for_a_callback_that_timed_out() -> None:
    """With nobody left waiting the tail is read for 24 hours and then left alone."""
    watch = Watch(scale=0.5)
    watch.register()
    while watch.delay_ms is not None:
        watch.read(simple("running"))
    lasted_ms = watch.now_ms - START_MS - 300_000
    assert DAY_MS <= lasted_ms <= DAY_MS + 300_000
    assert watch.record.state is JobState.TAIL


def test_what_expires_is_closed() -> None:
    """`once: false` ends at `expires_at`, and the job with it."""
    watch = Watch()
    every = watch.register(once=False, expires_ms=START_MS + DAY_MS)
    watch.read(simple("completed"))
    while watch.delay_ms is not None:
        watch.read(simple("completed"))
    assert watch.callback(every).state is CallbackState.ENDED
    assert DAY_MS <= watch.now_ms - START_MS <= DAY_MS + 600_000


def test_a_refused_key_is_told_once_an_outage_and_callback() -> None:
    """`.unauthorized` after the confirming read, once; a callback that comes later hears the same event."""
    watch = Watch()
    every = watch.register("https://a.example/", once=False, events=("*",))
    once = watch.register("https://b.example/", events=("*",))
    assert watch.read(REFUSED) == []
    assert watch.delay_ms == 2_000
    assert watch.read(REFUSED, outage="o1") == ["sync_job.unauthorized"]
    assert watch.delay_ms == 60_000
    assert watch.read(REFUSED, outage="o1") == []
    newcomer = watch.register("https://c.example/", once=False, events=("*",))
    watch.read(REFUSED, outage="o1")
    assert watch.heard(newcomer) == ["unauthorized"]
    assert len(watch.events) == 1
    watch.read(simple("running"))
    watch.read(REFUSED)
    watch.read(REFUSED, outage="o2")
    assert watch.heard(every) == ["unauthorized", "running", "unauthorized"]
    assert watch.heard(once) == []


def test_with_a_refused_key_the_clock_runs_on() -> None:
    """`.timed_out` then says `unauthorized`; the outcome is unknown."""
    watch = Watch()
    once = watch.register()
    watch.read(REFUSED)
    while not watch.heard(once):
        watch.read(REFUSED, outage="o1")
    assert 600_000 <= watch.now_ms - START_MS <= 660_000
    fact = watch.fact(once).news.fact
    assert (fact.word, fact.outcome, (fact.error or {})["code"]) == ("timed_out", "unknown", "unauthorized")


def test_a_429_is_no_read() -> None:
    """Past its deadline a job that only hears 429 is not timed out; the first real read decides."""
    watch = Watch()
    once = watch.register(timeout_s=5.0)
    watch.read(simple("running"))
    for _ in range(5):
        watch.read(Limited(until_ms=watch.now_ms + 60_000))
        assert watch.heard(once) == []
    watch.read(simple("completed"))
    assert watch.heard(once) == ["completed"]


def test_a_read_begun_before_the_deadline_times_nobody_out() -> None:
    """A slow answer that comes after the deadline was asked for before it."""
    watch = Watch()
    once = watch.register(timeout_s=10.0)
    watch.read(simple("running"), after_s=9.5, took_ms=5_000)
    assert watch.heard(once) == []
    watch.read(simple("running"))
    assert watch.heard(once) == ["timed_out"]
