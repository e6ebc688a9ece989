"""404 answers: a new id gets a grace, a known job a confirming read, and many at once count as an outage at first."""

from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.jobs.facts import draft_gone
from bridge.domain.jobs.intervals import MASS_CONFIRM_S, TimeScale, grace_over
from bridge.domain.jobs.outcome import PollContext, Step
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import GONE


def apply_not_found(job: Job, *, at: PollContext, scale: TimeScale) -> Step:
    """Apply one 404: the job is missing, or has ended as `.not_found` or `.deleted` if that is certain."""
    if job.state is JobState.ENDED and job.ending in GONE:
        return Step(job=replace(job, auth_refused=""), confirms=True)
    job = replace(
        job, missing_ms=job.missing_ms or at.now_ms, missing_reads=job.missing_reads + 1, auth_refused=""
    )
    if is_certain(job, at=at, scale=scale):
        return end_job_as(job, "deleted" if job.seen else "not_found", related={})
    return Step(job=replace(job, state=job.state if job.state is JobState.TAIL else JobState.MISSING))


def is_certain(job: Job, *, at: PollContext, scale: TimeScale) -> bool:
    """Return whether there were enough 404s: for the whole grace for an id never seen, else at least two."""
    if job.missing_reads < 2:  # a single 404 can be an error of the provider
        return False
    if not job.seen:
        return grace_over(job, at.begun_ms, scale)
    return not at.vanishing or at.begun_ms - job.missing_ms >= scale.ms(MASS_CONFIRM_S)


def awaits_confirmation(job: Job) -> bool:
    """Return whether a job that had been seen got its first 404, which a second read is to confirm soon."""
    return job.seen and job.missing_reads == 1 and job.state in (JobState.MISSING, JobState.TAIL)


def end_job_as(job: Job, word: str, *, related: Mapping[str, str]) -> Step:
    """End a job that does not exist any more: `deleted`, `not_found`, or `replaced` by a regenerated item."""
    late = bool(job.tail_ms)
    job = replace(job, state=JobState.ENDED, ending=word, ending_event="", awaited=(), tail_ms=0)
    return Step(job=job, drafts=(draft_gone(job, word, related=related, late=late),), confirms=True)
