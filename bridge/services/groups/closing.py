"""What the closing event of a group says: every member as its own last event has it."""

from collections.abc import Mapping, Sequence

from bridge.domain.events.event import Fact
from bridge.domain.events.records import EventRecord
from bridge.domain.groups.outcomes import count_outcomes, explain_outcome, join_outcomes
from bridge.domain.groups.turn import ENDED
from bridge.domain.jobs.records import Job, Member
from bridge.domain.observation import Outcome
from bridge.services.groups.rows import fit_rows, show_job


def close_group(job: Job, members: Sequence[Member], events: Mapping[str, EventRecord]) -> Fact:
    """Return the fact that all members of a group have ended; `events` are those that say so, by id."""
    rows = [show_job(each.kind, each.id, events.get(each.event)) for each in members]
    outcomes = [Outcome(row["outcome"]) for row in rows]
    outcome = join_outcomes(outcomes)
    data, shortened = fit_rows({"id": job.id, "status": ENDED, "total": len(rows)}, rows)
    return Fact(
        word=ENDED,
        kind=job.kind,
        job_id=job.id,
        status=ENDED,
        outcome=outcome,
        error=explain_outcome(outcome, [(row["id"], each) for row, each in zip(rows, outcomes, strict=True)]),
        summary=count_outcomes(outcomes),
        related={},
        data=data,
        run=job.run,
        late=False,
        shortened=shortened,
    )
