"""Which jobs are read while some of their account's reads hang."""

from collections.abc import Iterable

import pytest

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.poll_history import record_poll
from bridge.domain.jobs.records import PollLog
from bridge.domain.jobs.registration import new_job
from bridge.domain.observation import PollResult, UnexpectedAnswer, UpstreamBroken
from bridge.services.jobs.observe import Held
from bridge.services.polling.poll_requests import DueJob
from bridge.services.polling.slow_reads import SlowReads
from bridge.store.records import Loaded

ACCOUNT = "acc_1"
BROKEN, ANSWERED = UpstreamBroken(reason="no answer within 15 s"), UnexpectedAnswer(reason="HTTP 402")
NEW = PollLog()


def log_of(result: PollResult, *, took_ms: int, due_ms: int = 0) -> PollLog:
    at = PollContext(begun_ms=0, now_ms=took_ms, took_ms=took_ms)
    log = record_poll(NEW, result, at)
    return PollLog(polls=log.polls, streak=log.streak, ticks=log.ticks, spans=log.spans, due_ms=due_ms)


QUICK, SLOW, DEAD = (
    log_of(ANSWERED, took_ms=40),
    log_of(ANSWERED, took_ms=6_000),
    log_of(BROKEN, took_ms=15_000),
)
REFUSED_AT_ONCE = log_of(BROKEN, took_ms=3)


def due(log: PollLog, count: int = 1, *, name: str = "j", account: str = ACCOUNT) -> list[DueJob]:
    jobs = []
    for number in range(count):
        record = new_job(
            project="p",
            account=account,
            kind="sync_job",
            job_id=f"{name}{number}",
            now_ms=0,
            clock="",
            persona="",
        )
        held = Held(key=f"{account}:{name}{number}", token=b"", job=Loaded(record, b""), log=log)
        jobs.append(DueJob(held=held, account=account, version=1, queued_ms=0))
    return jobs


def keys(jobs: Iterable[DueJob]) -> list[str]:
    return [job.held.key.partition(":")[2] for job in jobs]


@pytest.mark.parametrize(
    ("log", "read"), [(QUICK, 40), (REFUSED_AT_ONCE, 40), (NEW, 10), (SLOW, 10), (DEAD, 2)]
)
def test_places_go_to_those_who_leave_them_soon(log: PollLog, read: int) -> None:
    """Of forty jobs all that are quick are read, some that may hang, and two that did."""
    slow_reads = SlowReads(is_silent=lambda _: False)
    chosen, waiting = slow_reads.choose(due(log, 40))
    assert (len(chosen), len(waiting)) == (read, 40 - read)
    for job in chosen:
        slow_reads.begin(job)
    healthy = due(QUICK, name="healthy")
    more, _ = slow_reads.choose([*due(log, 40, name="more"), *healthy])
    assert keys(more)[: len(keys(healthy))] == (
        ["healthy0"] if log not in (QUICK, REFUSED_AT_ONCE) else ["more0"]
    )
    assert "healthy0" in keys(more)
    assert len(more) == (41 if read == 40 else 1), "the others' places are taken"


@pytest.mark.parametrize(
    ("workers", "unknown", "hang"), [(1, 10, 2), (2, 10, 2), (4, 5, 1), (12, 1, 1), (50, 1, 1)]
)
def test_workers_share_the_places_of_an_account(workers: int, unknown: int, hang: int) -> None:
    """So that all of them together leave places to proven jobs, which have none of these limits."""
    slow_reads = SlowReads(is_silent=lambda _: False)
    chosen, _ = slow_reads.choose(
        [*due(QUICK, 30), *due(NEW, 30, name="new"), *due(DEAD, 30, name="dead")], workers=workers
    )
    counted = [sum(key.startswith(name) for key in keys(chosen)) for name in ("j", "new", "dead")]
    assert counted == [30, unknown, hang]


def test_a_place_is_free_again_after_the_read() -> None:
    slow_reads = SlowReads(is_silent=lambda _: False)
    first, _ = slow_reads.choose(due(DEAD, 3))
    for job in first:
        slow_reads.begin(job)
    assert slow_reads.choose(due(DEAD, 3))[0] == []
    slow_reads.end(ACCOUNT, first[0].held.key)
    assert len(slow_reads.choose(due(DEAD, 3))[0]) == 1


def test_those_that_hang_take_turns() -> None:
    """The one that was due first is read first, wherever it stands in the claim."""
    jobs = [*due(log_of(BROKEN, took_ms=15_000, due_ms=9), 3, name="late")]
    jobs += due(log_of(BROKEN, took_ms=15_000, due_ms=5), name="early")
    chosen, waiting = SlowReads(is_silent=lambda _: False).choose(jobs)
    assert keys(chosen)[0] == "early0"
    assert {delay_ms for _, delay_ms in waiting} == {1_000}


def test_of_a_silent_account_little_is_tried() -> None:
    """Its last read hung: new jobs get two places, and do not have to wait for those that are known to hang."""
    slow_reads = SlowReads(is_silent=lambda account: account == ACCOUNT)
    for job in slow_reads.choose(due(DEAD, 9))[0]:
        slow_reads.begin(job)
    chosen, _ = slow_reads.choose(due(NEW, 5))
    assert len(chosen) == 2
    assert len(slow_reads.choose(due(NEW, 5, account="acc_2"))[0]) == 5
