"""When a job is read again: documented intervals, back-off, and who is not read at all."""

import pytest

from bridge.domain.jobs.intervals import TimeScale, backoff_s
from bridge.domain.jobs.records import JobState
from bridge.domain.observation import PollResult, Throttled, UpstreamBusy
from bridge.domain.subscriptions.callback import CallbackState
from tests.domain.jobs.watched_job import (
    BROKEN,
    DAY_MS,
    FORBIDDEN,
    ODD,
    REFUSED,
    START_MS,
    Candidate,
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
    watch = Candidate(kind, scale=scale)
    watch.register()
    for _ in range(3):
        watch.read(running)
        assert watch.delay_ms == round(interval_s * scale * 1000)


def test_the_first_read_is_at_once() -> None:
    """A new job, and an ended one that gets a new callback, are read now; a watched one keeps its pace."""
    watch = Candidate()
    assert watch.register_callback("https://a.example/").poll_now
    watch.read(simple("running"))
    assert not watch.register_callback("https://b.example/").poll_now
    watch.read(simple("completed"))
    assert watch.register_callback("https://c.example/").poll_now


def test_broken_answers_back_off() -> None:
    """5 s, times 1.5, up to a minute; a 429 in between is no answer; a good one starts anew."""
    watch = Candidate()
    watch.register()
    delays = []
    for _ in range(9):
        watch.read(BROKEN)
        delays.append(watch.delay_ms)
    assert delays[:4] == [5_000, 7_500, 11_250, 16_875]
    assert delays[-2:] == [60_000, 60_000]
    watch.read(Throttled(until_ms=watch.now_ms + 5_000))
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
    ("result", "delay_ms"),
    [
        (UpstreamBusy(wait_s=60.0), 60_000),
        (
            UpstreamBusy(wait_s=1.0),
            15_000,
        ),  # `Retry-After: 1` does not make a job read more often than documented
        (UpstreamBusy(wait_s=600.0), 600_000),
        (ODD, 15_000),
    ],
)
def test_answers_that_show_no_state(result: PollResult, delay_ms: int) -> None:
    """503 waits as it asks, others keep the interval; none of them changes the job."""
    watch = Candidate()
    watch.register()
    watch.read(simple("running"))
    before = watch.record
    assert watch.read(result) == []
    assert (watch.delay_ms, watch.record) == (delay_ms, before)


def test_a_429_waits_for_its_reset() -> None:
    """Until the reset, at least a second."""
    watch = Candidate()
    watch.register()
    watch.read(Throttled(until_ms=START_MS + 42_000))
    assert watch.delay_ms == 42_000
    watch.read(Throttled(until_ms=watch.now_ms - 5_000))
    assert watch.delay_ms == 1_000


@pytest.mark.parametrize("refusal", [REFUSED, FORBIDDEN])
def test_a_refusal_is_confirmed_soon_and_then_tried_every_minute(refusal: PollResult) -> None:
    """401 and 403: two seconds, then sixty, times the scale."""
    watch = Candidate(scale=0.5)
    watch.register()
    watch.read(refusal)
    assert watch.delay_ms == 1_000
    watch.read(refusal, auth_refused="o")
    assert watch.delay_ms == 30_000
    assert watch.record.state is JobState.WATCHING


def test_a_draft_is_read_once_a_minute_for_thirty_days() -> None:
    """It has no clock; after thirty days it is given up."""
    watch = Candidate("outgoing_post")
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
    watch = Candidate("outgoing_post", now_ms=1_767_607_200_000)  # 2026-01-05T10:00:00Z
    watch.register()
    scheduled = outgoing("scheduled", ("d1", "pending"), scheduled_for="2026-01-05T10:01:25Z")
    for delay_ms in (60_000, 25_000, 60_000):
        watch.read(scheduled)
        assert watch.delay_ms == delay_ms
    watch.read(outgoing("scheduled", scheduled_for="2026-01-05T10:02:30Z"))
    assert watch.delay_ms == 10_000


def test_a_job_that_nobody_waits_for_is_not_read() -> None:
    """Cancelled: no next read; a tail is kept only for a callback that timed out."""
    watch = Candidate()
    other = watch.register()
    watch.cancel(other)
    watch.read(simple("running"))
    assert watch.delay_ms is None
    tail = Candidate()
    every = tail.register(once=False)
    while not tail.heard(every):
        tail.read(simple("running"))
    tail.cancel(every)
    tail.read(simple("running"))
    assert tail.delay_ms is None
    assert tail.callback(every).state is CallbackState.CANCELLED


def test_a_scaled_time_is_never_nothing() -> None:
    """A scale near zero polls fast, it does not spin without a pause."""
    assert TimeScale(scale=0.000001).ms(5) == 1
