"""What the closing event of a group says: every member as its own last event has it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.domain.events.event import DATA_BYTES, Fact
from bridge.domain.events.records import EventRecord
from bridge.domain.groups.outcomes import count_outcomes, explain_outcome, join_outcomes
from bridge.domain.groups.turn import ENDED
from bridge.domain.jobs.records import Job, Member
from bridge.domain.js_json import to_js_json
from bridge.domain.observation import Outcome

SHOWN = ("status", "outcome", "error", "summary", "related", "run", "data")


def close_group(job: Job, members: Sequence[Member], events: Mapping[str, EventRecord]) -> Fact:
    """Return the fact that all members of a group have ended; `events` are those that say so, by id."""
    rows = [_show_member(each, events.get(each.event)) for each in members]
    outcomes = [Outcome(row["outcome"]) for row in rows]
    outcome = join_outcomes(outcomes)
    data = {"id": job.id, "status": ENDED, "total": len(rows), "jobs": rows}
    shortened = len(to_js_json(data)) > DATA_BYTES
    if shortened:
        data["jobs"] = [{**row, "data": {"id": row["id"]}, "summary": None, "related": {}} for row in rows]
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


def _show_member(member: Member, event: EventRecord | None) -> dict[str, Any]:
    """Return a member as its event shows it; without one, which retention may have taken, its end is unknown."""
    row: dict[str, Any] = {"kind": member.kind, "id": member.id, "job_id": member.id}
    if event is None:
        nothing = {"status": None, "outcome": str(Outcome.UNKNOWN), "error": None, "summary": None}
        return {**row, "event_id": "", **nothing, "related": {}, "run": 1, "data": {"id": member.id}}
    body = json.loads(event.body)
    return {**row, "event_id": event.id, "type": event.type, **{name: body[name] for name in SHOWN}}
