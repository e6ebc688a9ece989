"""The timeline's memory holds the last 20 polls exactly, and stays small."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.poll_history import KEPT, previous_poll_ms, read_poll_history, record_poll
from bridge.domain.jobs.records import PollLog
from bridge.domain.observation import JobNotFound, PollResult, UpstreamBroken
from bridge.store.records import pack

READINGS: list[PollResult] = [
    JobNotFound(),
    UpstreamBroken(reason="HTTP 500"),
    UpstreamBroken(reason="no answer"),
]


@given(
    st.lists(st.tuples(st.sampled_from(READINGS), st.integers(0, 10**8), st.integers(0, 20_000)), max_size=60)
)
def test_the_last_polls_are_read_as_they_were_written(polls: list[tuple[PollResult, int, int]]) -> None:
    """Time, word, note and duration of each of the last 20 survive the packing."""
    log, now_ms, written = PollLog(), 1_700_000_000_000, []
    for result, gap_ms, took_ms in polls:
        now_ms += gap_ms
        before = log.last_ms if log.polls else None
        log = record_poll(log, result, PollContext(begun_ms=now_ms, now_ms=now_ms, took_ms=took_ms))
        written.append((now_ms, "404" if isinstance(result, JobNotFound) else result.reason, took_ms))  # type: ignore[union-attr]  # the rest are Broken
        assert previous_poll_ms(log) == before
    read = [(m.at_ms, m.note if m.word == "outage" else m.word, m.took_ms) for m in read_poll_history(log)]
    assert read == written[-KEPT:]


def test_a_steady_job_costs_little() -> None:
    """Twenty equal polls take less than 200 bytes."""
    log = PollLog()
    for at_ms in range(1_700_000_000_000, 1_700_000_600_000, 15_000):
        log = record_poll(log, JobNotFound(), PollContext(begun_ms=at_ms, now_ms=at_ms, took_ms=120))
    assert len(pack(log)) < 200
