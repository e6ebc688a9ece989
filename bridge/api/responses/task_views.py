"""From tasks to JSON."""

from bridge.api.responses.event_models import RecoveredShape, TaskShape
from bridge.domain.tasks import Task, per_second
from bridge.domain.times import iso_ms


def view_task(task: Task, *, now_ms: int) -> TaskShape:
    """Return a task as clients see it."""
    rate = per_second(task, now_ms=now_ms)
    return {
        "id": task.id,
        "object": "task",
        "kind": task.kind,
        "state": task.state.value,
        "total": max(task.total, task.looked),
        "looked_at": task.looked,
        "count": task.count,
        "per_second": None if rate is None else round(rate, 1),
        "resumed": max(0, task.attempt - 1),
        "error": task.error or None,
        "cancel_requested": task.is_cancelled,
        "created_at": iso_ms(task.created_ms),
        "started_at": _show(task.started_ms),
        "ended_at": _show(task.ended_ms),
    }


def _show(at_ms: int) -> str | None:
    return iso_ms(at_ms) if at_ms else None


def view_recovery(identifier: str, task: Task) -> RecoveredShape:
    """Return what a recovery has come to so far."""
    return {
        "id": identifier,
        "object": "recovery",
        "count": task.count,
        "state": task.state.value,
        "task_id": task.id,
    }
