"""Every kind, every ending: from answers as the upstream writes them to what a callback hears."""

from typing import Any

import pytest

from bridge.domain.jobs.poll_history import read_poll_history
from bridge.domain.jobs.records import JobState
from bridge.domain.subscriptions.callback import CallbackState
from bridge.providers.registry import CATALOGUE
from tests.domain.jobs.watched_job import (
    JOB_ID,
    MISSING,
    Candidate,
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
    watch = Candidate(kind)
    callback = watch.register()
    for _ in range(reads_before):
        assert watch.read(running) == []
        assert watch.record.state is JobState.WATCHING
    assert watch.read(ended) == [f"{kind}.{word}"]
    fact = watch.fact(callback).draft.fact
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
    lost = Candidate(kind)
    lost.register()
    while lost.delay_ms is not None:
        lost.read(MISSING)
    assert [each.type for each in lost.notifications] == [f"{kind}.not_found"]

    gone = Candidate(kind)
    gone.register()
    gone.read(running)
    gone.read(MISSING)
    gone.read(MISSING)
    assert [each.type for each in gone.notifications] == [f"{kind}.deleted"]

    late = Candidate(kind)
    late.register(timeout_s=40.0)
    while not late.notifications:
        late.read(running)
    assert [each.type for each in late.notifications] == [f"{kind}.timed_out"]
    codes = [next(iter(each.events.values())).draft.fact for each in (lost, gone, late)]
    assert [(f.outcome, (f.error or {})["code"]) for f in (codes[0], last_fact(gone), last_fact(late))] == [
        ("unknown", "not_found"),
        ("deleted", "deleted"),
        ("unknown", "watch_timeout"),
    ]


def last_fact(watch: Candidate) -> Any:
    return watch.events[watch.notifications[-1].event].draft.fact


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
    watch = Candidate(kind)
    once = watch.register("https://a.example/", events=(f"{kind}.*",))
    every = watch.register("https://b.example/", events=(f"{kind}.*",), once=False)
    first = watch.read(running)
    assert len(first) == 1
    assert not CATALOGUE.types[first[0]].ending
    for _ in range(5):
        assert watch.read(running) == []
    assert (watch.heard(once), len(watch.heard(every))) == ([], 1)


@pytest.mark.parametrize("strange", ["archived", "", "COMPLETELY", None, 7])
def test_an_unknown_state_never_ends_a_job(strange: Any) -> None:
    """Words of no table, missing ones, other types: still running, and the timeline says so."""
    watch = Candidate()
    callback = watch.register()
    watch.read(simple(strange))
    assert watch.heard(callback) == []
    assert watch.record.state is JobState.WATCHING
    assert "unknown to us" in read_poll_history(watch.log)[-1].note
