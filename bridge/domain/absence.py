"""404: a new id gets a grace, a known job a confirming read, and a crowd vanishing at once is an outage first."""

from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.cadence import MASS_CONFIRM_S, Pace, grace_over
from bridge.domain.event_types import event_type
from bridge.domain.events import Fact, build_error
from bridge.domain.job import Job, JobState
from bridge.domain.news import Moment, News
from bridge.domain.reading import Outcome

GONE = frozenset({"deleted", "not_found", "replaced"})


def miss(job: Job, *, at: Moment, pace: Pace) -> tuple[Job, tuple[News, ...]]:
    """Take one 404: the job is missing, and when that is certain, ended as `.not_found` or `.deleted`."""
    if job.state is JobState.ENDED and job.ending in GONE:
        return job, ()
    job = replace(job, missing_ms=job.missing_ms or at.now_ms, missing_reads=job.missing_reads + 1, outage="")
    if not is_certain(job, at=at, pace=pace):
        state = job.state if job.state is JobState.TAIL else JobState.MISSING
        return replace(job, state=state), ()
    return end_as(job, "deleted" if job.seen else "not_found", related={})


def is_certain(job: Job, *, at: Moment, pace: Pace) -> bool:
    """Say whether enough 404s came: the grace for an id never seen, a second read for one that was."""
    if job.missing_reads < 2:  # one answer can be a slip
        return False
    if not job.seen:
        return grace_over(job, at.now_ms, pace)
    return not at.vanishing or at.now_ms - job.missing_ms >= pace.ms(MASS_CONFIRM_S)


def end_as(job: Job, word: str, *, related: Mapping[str, str]) -> tuple[Job, tuple[News, ...]]:
    """End a job that is no longer there: `deleted`, `not_found`, or `replaced` by a regenerated item."""
    late = job.state is JobState.TAIL
    job = replace(job, state=JobState.ENDED, ending=word)
    outcome = {"deleted": Outcome.DELETED, "not_found": Outcome.UNKNOWN, "replaced": Outcome.DELETED}[word]
    fact = Fact(
        word=word,
        kind=job.kind,
        job_id=job.id,
        status=job.status,
        outcome=outcome,
        error=None if word == "replaced" else build_error(word, None),
        summary=None,
        related=related,
        data={"id": job.id},
        run=job.run,
        late=late,
    )
    return job, (News(name=word, type=event_type(job.kind, word), fact=fact, closes=True),)
