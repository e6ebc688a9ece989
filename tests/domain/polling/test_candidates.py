"""What the planner sees of a job's records: when it was due, since when nobody looked, and how urgent that is."""

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.polling.candidates import make_candidate
from bridge.domain.polling.planner import Candidate
from bridge.domain.polling.rate_limit import Purpose
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.services.context import kind_traits

BORN = 1_800_000_000_000
NOW = BORN + 100_000
WAITING = Callback(
    id="cb_1",
    state=CallbackState.WATCHING,
    created_ms=BORN,
    url=b"",
    origin="https://example.com",
    masked="",
    fingerprint=b"1",
)
JOB = Job(
    project="prj_1",
    account="acc_1",
    kind="generated_post",
    id="p1",
    born_ms=BORN,
    state=JobState.WATCHING,
    run=1,
    run_ms=BORN,
    clock_ms=BORN,
    callbacks=(WAITING,),
    seen=True,
)
READ = PollLog(polls=3, interval_s=15, timeout_s=600, seen_ms=NOW - 20_000, due_ms=NOW - 5_000)


def candidate(
    job: Job = JOB, log: PollLog = READ, *, queued_ms: int = NOW - 5_000, now_ms: int = NOW, scale: float = 1
) -> Candidate:
    return make_candidate(
        "key",
        job,
        log,
        queued_ms=queued_ms,
        now_ms=now_ms,
        category="generated_post:video",
        listed="/list",
        traits=kind_traits(job.kind),
        scale=TimeScale(scale=scale),
    )


def job(**changes: Any) -> Job:
    return replace(JOB, **changes)


@pytest.mark.parametrize(
    ("log", "queued_ms", "due_ms"),
    [
        (READ, NOW - 5_000, NOW - 5_000),
        (READ, NOW - 1_000, NOW - 5_000),  # put back later by a plan: it has waited since
        (replace(READ, due_ms=NOW + 9_000), NOW - 1_000, NOW - 1_000),  # somebody asked for it sooner
        (replace(READ, due_ms=NOW + 9_000), NOW + 9_000, NOW),  # never in the future: it is here to be read
        (PollLog(), NOW - 2_000, BORN),  # never read: it has waited from its registration on
        (READ, -(NOW - 1_000), NOW - 5_000),  # from a lease that ended: not due before it was
        (replace(READ, due_ms=NOW + 9_000), -(NOW - 1_000), NOW - 1_000),
    ],
)
def test_a_job_is_due_when_its_interval_let_it_be_read(log: PollLog, queued_ms: int, due_ms: int) -> None:
    """Wherever it stands in the queue by now."""
    assert candidate(log=log, queued_ms=queued_ms).due_ms == due_ms


def test_a_read_of_an_earlier_run_does_not_count() -> None:
    """What was seen then says nothing of what is being made now."""
    assert candidate().read_ms == READ.seen_ms
    rerun = candidate(job(run=2, run_ms=NOW - 10_000))
    assert (rerun.read_ms, rerun.started_ms) == (0, NOW - 10_000)
    assert candidate(log=PollLog()).read_ms == 0


def test_the_pace_is_the_logs_or_the_kinds_and_scaled() -> None:
    """An image is read more often than a video."""
    assert candidate(log=replace(READ, interval_s=10)).interval_ms == 10_000
    assert candidate(log=PollLog(), scale=0.1).interval_ms == 1_500


def test_a_running_job_is_read_for_its_end() -> None:
    """Neither at a moment of its own, nor now and then."""
    seen = candidate()
    assert (seen.prompt, seen.steady, seen.purpose) == (False, False, Purpose.SINGLE)
    assert (seen.key, seen.id, seen.list, seen.category) == ("key", "p1", "/list", "generated_post:video")


@pytest.mark.parametrize(
    "absent",
    [
        job(state=JobState.MISSING, missing_ms=NOW - 2_000, missing_reads=1),
        job(state=JobState.MISSING, missing_ms=NOW - 2_000, missing_reads=1, seen=False),  # in its grace
        job(state=JobState.TAIL, missing_ms=NOW - 2_000, missing_reads=1, tail_ms=NOW + 9_000),
    ],
)
def test_a_surprising_absence_is_confirmed_promptly(absent: Job) -> None:
    """And counted as such."""
    seen = candidate(absent)
    assert (seen.prompt, seen.purpose) == (True, Purpose.CONFIRM)


def test_a_deadline_that_has_come_is_met_promptly() -> None:
    """The documented one, and a client's own; not before, and not again once it was told."""
    due = BORN + 600_000
    assert not candidate(now_ms=due - 1).prompt
    passed = candidate(now_ms=due)
    assert (passed.prompt, passed.purpose) == (True, Purpose.SINGLE)
    own = job(callbacks=(replace(WAITING, timeout_s=90.0),))
    assert candidate(own).prompt
    assert not candidate(job(callbacks=(replace(WAITING, timeout_s=90.0, timed_out_run=1),))).prompt
    assert not candidate(
        job(callbacks=(replace(WAITING, timeout_s=90.0, state=CallbackState.CANCELLED),))
    ).prompt
    assert candidate(scale=0.1).prompt  # of the documented time, the scaled one
    assert candidate(log=replace(READ, timeout_s=60)).prompt  # an image's


TOLD = replace(WAITING, once=False, expires_ms=NOW + 9_000)


@pytest.mark.parametrize(
    ("slow", "steady"),
    [
        (job(state=JobState.TAIL, callbacks=(replace(TOLD, timed_out_run=1),)), True),
        (job(state=JobState.ENDED, callbacks=(replace(TOLD, notified_run=1),)), True),
        (job(state=JobState.ENDED, callbacks=(TOLD,)), False),  # one that came later still waits
        (job(kind="outgoing_post", clock_ms=0), True),  # a draft
        (job(kind="outgoing_post", clock_ms=0, seen=False), False),  # not known to be one
        (job(), False),
    ],
)
def test_slow_tails_and_drafts_are_read_steadily(slow: Job, *, steady: bool) -> None:
    """No end is likely: what matters is how late their turn is."""
    assert candidate(slow).steady is steady
