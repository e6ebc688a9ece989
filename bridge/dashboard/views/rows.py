"""Rows of lists, as templates show them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.dashboard.page import Visit
from bridge.dashboard.pictures import Progress
from bridge.dashboard.words import name_delivery, name_job
from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery
from bridge.domain.jobs.records import Job, JobState, is_running
from bridge.services.context import Services
from bridge.services.deliveries.browse import DeliveryRow
from bridge.services.polling.watched import Expected, WatchedJob
from bridge.services.queries import load_events
from bridge.store.records import Wanted


def plan_progress(job: Job, expected: Expected) -> Progress | None:
    """Return how far a job is; None for one whose clock does not run.

    Groups and chains have none: they last as long as what they wait for.
    """
    if not is_running(job):
        return None
    return Progress(
        start_ms=job.run_ms,
        typical_s=expected.typical_s,
        late_s=expected.late_s,
        documented=expected.documented,
    )


def say_no_progress(job: Job) -> str:
    """Return why a watched job has no bar."""
    if job.state is JobState.TAIL:
        return "its end is unknown; it is read now and then, in case it comes"
    if job.members:
        return "waits for its jobs"
    if job.state is JobState.ENDED:
        return "has ended; it is read for what may follow"
    return "its clock has not begun" if job.seen else "not read yet"


def show_watched(each: WatchedJob, *, now_ms: int, scale: float) -> dict[str, Any]:
    """Return a watched job's row; `scale` is the factor on all documented intervals."""
    progress = plan_progress(each.job, each.expected)
    is_overdue = progress is not None and progress.is_overdue(now_ms)
    has_interval = each.job.state not in (JobState.ENDED, JobState.TAIL) and not each.job.members
    return {
        "kind": each.job.kind,
        "id": each.job.id,
        "key": each.key,
        "badge": name_job(each.job, is_overdue=is_overdue),
        "progress": progress,
        "is_overdue": is_overdue,
        "due_ms": max(each.due_ms, 0),
        "is_read": each.due_ms < 0,
        "note": say_no_progress(each.job),
        "interval_s": each.log.interval_s * scale if has_interval else 0.0,
        "polls": each.log.polls,
        "account": each.job.account,
    }


def say_answer(delivery: Delivery) -> str:
    """Return the last answer to a delivery in a few words."""
    if not delivery.attempts:
        return ""
    last = delivery.attempts[-1]
    outcome = str(last.status) if last.status is not None else f"no answer ({last.failure})"
    return f"{outcome}, {last.duration_ms} ms"


async def show_deliveries(visit: Visit, rows: Sequence[DeliveryRow]) -> list[dict[str, Any]]:
    """Return the rows of deliveries with their events and jobs, in one round trip."""
    page = await visit.services.store.load_many(
        Wanted(
            events=sorted({row.delivery.event for row in rows}),
            jobs=sorted({row.delivery.job for row in rows}),
        )
    )
    shown = []
    for row in rows:
        each = row.delivery
        event, job = page.events.get(each.event), page.jobs.get(each.job)
        shown.append(
            {
                "id": each.id,
                "badge": name_delivery(each, row.due_ms),
                "type": event.record.type if event else "event gone",
                "kind": job.record.kind if job else "",
                "job_id": job.record.id if job else "",
                "receiver": read_origin(each.lane),
                "tries": each.tries,
                "answer": say_answer(each),
                "reason": each.attempts[-1].reason if each.attempts else each.reason,
                "due_ms": row.due_ms if row.due_ms and row.due_ms > 0 else None,
                "created_ms": each.created_ms,
            }
        )
    return shown


def list_receivers(
    counted: Sequence[tuple[str, int]], rows: Sequence[DeliveryRow]
) -> list[tuple[str, int, str]]:
    """Return receivers with their numbers of deliveries, each with the last answer among some of these."""
    answers = {receiver: answer for receiver, _, answer in group_by_receiver(rows)}
    return [(receiver, count, answers.get(receiver, "")) for receiver, count in counted]


def group_by_receiver(rows: Sequence[DeliveryRow]) -> list[tuple[str, int, str]]:
    """Return the receivers of deliveries, each with their number and its last answer, most first."""
    counts = Counter(read_origin(row.delivery.lane) for row in rows)
    answers: dict[str, str] = {}
    for row in rows:
        answers.setdefault(read_origin(row.delivery.lane), say_answer(row.delivery))
    return [(receiver, count, answers[receiver]) for receiver, count in counts.most_common(8)]


async def show_events(services: Services, found: Sequence[tuple[str, int]]) -> list[Mapping[str, Any]]:
    """Return rows for (event id, position) pairs; those that are gone are left out."""
    events = await load_events(services.store, [identifier for identifier, _ in found])
    jobs = await services.store.load_many(Wanted(jobs=sorted({each.job for each in events})))
    return [
        {
            "id": each.id,
            "type": each.type,
            "at_ms": each.at_ms,
            "kind": jobs.jobs[each.job].record.kind if each.job in jobs.jobs else "",
            "job_id": jobs.jobs[each.job].record.id if each.job in jobs.jobs else "",
        }
        for each in events
    ]
