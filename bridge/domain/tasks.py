"""A task: work on many objects, done in steps by one process at a time, and gone on with by another one after a crash.

A process works on a task in an *attempt*, which holds the task's lease and renews it with each step. Once the lease has
ended any process may begin the next attempt, behind the last step; what the former one still writes is refused, since the
record has another attempt's number by then. A step may be done twice, so what it does to an object must do nothing there
the second time.

Times are Unix milliseconds. Records are packed as arrays, so new fields go to the end and carry a default.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

LEASE_MS: Final = 5_000  # a step takes well under a second
MOST_STALLS: Final = 5  # attempts in a row that end without a step


class TaskState(StrEnum):
    """The states of a task; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Task(Struct, frozen=True, array_like=True, kw_only=True):
    """A task as it is stored."""

    id: str
    project: str
    kind: str  # one of `services/tasks/kinds`
    args: dict[str, Any]
    created_ms: int
    state: TaskState = TaskState.QUEUED
    attempt: int = 0  # number of the last one
    lease_ms: int = 0  # until when that one has the task to itself; 0: it has let it go
    cursor: str = ""  # where the next step begins
    total: int = 0  # objects to look at, as far as that was known at the start
    looked: int = 0  # objects that were looked at
    count: int = 0  # objects of these that were changed
    memo: Any = None  # what a step hands to the next one
    error: str = ""  # for people; without secrets
    is_cancelled: bool = False  # somebody has asked for its end
    stalls: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    schema: int = 1

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be done."""
        return self.ended_ms > 0


class TaskStep(Struct, frozen=True, kw_only=True):
    """What one step did: how many objects it looked at and changed, and where the next begins; None: that was the last."""

    looked: int
    count: int
    cursor: str | None
    memo: Any = field(default=None)


def begin_attempt(task: Task, *, now_ms: int) -> Task:
    """Return a task with a new attempt, or ended: cancelled meanwhile, or after too many attempts without a step."""
    if task.is_cancelled:
        return end_task(task, TaskState.CANCELLED, now_ms=now_ms)
    if task.stalls >= MOST_STALLS:
        error = f"{task.stalls} attempts made no progress: {task.error or 'each ended with its process'}"
        return end_task(replace(task, error=error), TaskState.FAILED, now_ms=now_ms)
    return replace(
        task,
        state=TaskState.RUNNING,
        attempt=task.attempt + 1,
        lease_ms=now_ms + LEASE_MS,
        stalls=task.stalls + 1,
        started_ms=task.started_ms or now_ms,
    )


def add_step(task: Task, step: TaskStep, *, now_ms: int) -> Task:
    """Return a task after a step, ended if that was the last one or somebody has asked for its end."""
    done = replace(
        task,
        looked=task.looked + step.looked,
        count=task.count + step.count,
        memo=step.memo,
        stalls=0,
        error="",
    )
    if step.cursor is None:
        return end_task(done, TaskState.SUCCEEDED, now_ms=now_ms)
    moved = replace(done, cursor=step.cursor, lease_ms=now_ms + LEASE_MS)
    return end_task(moved, TaskState.CANCELLED, now_ms=now_ms) if task.is_cancelled else moved


def renew_lease(task: Task, *, now_ms: int) -> Task:
    """Return a task whose attempt goes on in the middle of a step."""
    return replace(task, lease_ms=now_ms + LEASE_MS)


def let_go(task: Task, *, error: str = "") -> Task:
    """Return a task whose attempt has ended, so that the next one may begin at once; `error` says why, if it failed."""
    return replace(task, lease_ms=0, error=error)


def ask_cancel(task: Task, *, now_ms: int) -> Task:
    """Return a task that is to end: at once, or after the step that is under way."""
    if task.has_ended:
        return task
    asked = replace(task, is_cancelled=True)
    return asked if is_held(task, now_ms=now_ms) else end_task(asked, TaskState.CANCELLED, now_ms=now_ms)


def end_task(task: Task, state: TaskState, *, now_ms: int) -> Task:
    """Return a task that has ended."""
    return replace(task, state=state, ended_ms=now_ms, lease_ms=0, memo=None)


def is_held(task: Task, *, now_ms: int) -> bool:
    """Whether an attempt has the task to itself."""
    return task.lease_ms > now_ms


def per_second(task: Task, *, now_ms: int) -> float | None:
    """Return how many objects were looked at in a second since the task began; None before there is anything to tell."""
    if not task.started_ms or not task.looked:
        return None
    return task.looked * 1000 / max(1, (task.ended_ms or now_ms) - task.started_ms)
