"""Turn a job's records into what the planner needs to know of it."""

from bridge.domain.jobs.intervals import TimeScale, interval_ms
from bridge.domain.jobs.next_poll import is_slow
from bridge.domain.jobs.not_found import awaits_confirmation
from bridge.domain.jobs.outcome import KindTraits
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.jobs.timeouts import has_overdue_callback
from bridge.domain.polling.planner import Candidate
from bridge.domain.polling.rate_limit import Purpose


def make_candidate(
    key: str,
    job: Job,
    log: PollLog,
    *,
    queued_ms: int,
    now_ms: int,
    category: str,
    listed: str,
    traits: KindTraits,
    scale: TimeScale,
) -> Candidate:
    """Return a due job as a candidate; `queued_ms` is its place in the queue, negative when its lease had ended.

    A job that was put back stands later in the queue than it was due, one that somebody asked to be read stands sooner.
    """
    due_ms = log.due_ms or job.born_ms
    confirms = awaits_confirmation(job) or job.state is JobState.MISSING
    return Candidate(
        key=key,
        id=job.id,
        category=category,
        started_ms=job.run_ms,
        read_ms=max(log.seen_ms, 0) if log.seen_ms >= job.run_ms else 0,
        due_ms=min(due_ms, abs(queued_ms), now_ms),
        interval_ms=interval_ms(log, scale, fallback_s=traits.timing.interval_s),
        list=listed,
        purpose=Purpose.CONFIRM if confirms else Purpose.SINGLE,
        steady=is_slow(job) or (job.clock_ms == 0 and job.seen),
        prompt=confirms or has_overdue_callback(job, log, now_ms=now_ms, traits=traits, scale=scale),
    )
