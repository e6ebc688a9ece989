"""`.timed_out`: told to a callback after a read, begun past its deadline, that showed no ending."""

from dataclasses import dataclass

from msgspec.structs import replace

from bridge.domain.cadence import TAIL_LASTS_S, Pace
from bridge.domain.deadlines import has_deadline_ahead, is_overdue
from bridge.domain.event_types import event_type
from bridge.domain.events import Fact, build_error
from bridge.domain.job import Job, JobState, PollLog
from bridge.domain.news import Moment, News, Traits
from bridge.domain.reading import Forbidden, Limited, Outcome, Reading, Refused, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """The job and the time-outs to tell."""

    job: Job
    news: tuple[News, ...] = ()


def tell(job: Job, log: PollLog, reading: Reading, *, at: Moment, traits: Traits, pace: Pace) -> Overdue:
    """Tell the callbacks whose deadline had passed when the read began; a 429 is no read."""
    if isinstance(reading, Limited):
        return Overdue(job=job)
    timeout_s = log.timeout_s or traits.timing.timeout_s
    late: dict[int, set[str]] = {}
    for callback in job.callbacks:
        waits_for = max(job.run, callback.from_run)
        ended = job.state is JobState.ENDED and waits_for == job.run
        if not ended and is_overdue(job, callback, begun_ms=at.begun_ms, timeout_s=timeout_s, pace=pace):
            late.setdefault(waits_for, set()).add(callback.id)
    news = tuple(_timed_out(job, reading, run, frozenset(ids)) for run, ids in late.items())
    return Overdue(job=job, news=news)


def begin_tail(job: Job, *, at: Moment, told: bool) -> Job:
    """Start the slow tail when the last deadline of a job that has not ended was told."""
    ahead = any(has_deadline_ahead(job, callback) for callback in job.callbacks)
    if not told or ahead or job.state in (JobState.ENDED, JobState.TAIL):
        return job
    return replace(
        job, state=JobState.TAIL, ending="timed_out", tail_ms=at.now_ms + round(TAIL_LASTS_S * 1000)
    )


def _timed_out(job: Job, reading: Reading, run: int, callbacks: frozenset[str]) -> News:
    seen = reading.observation if isinstance(reading, Seen) else None
    refused = isinstance(reading, Refused | Forbidden)
    fact = Fact(
        word="timed_out",
        kind=job.kind,
        job_id=job.id,
        status=job.status,
        outcome=Outcome.UNKNOWN,
        error=build_error("timed_out", None, unauthorized=refused),
        summary=None,
        related=seen.related if seen else {},
        data=seen.data if seen else {"id": job.id},
        run=run,
        late=False,
    )
    kind = event_type(job.kind, "timed_out")
    return News(name="timed_out", type=kind, fact=fact, closes=True, only=callbacks)
