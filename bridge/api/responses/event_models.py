"""Models of answers about events and deliveries."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # as in models.py

from bridge.api.responses.models import DeliveryWord


class EventShape(TypedDict, total=False):
    """An immutable fact about a job, as receivers get it; GET /v1/event-types has each type's schema."""

    id: str
    type: str
    timestamp: str
    object: str
    job_id: str | None
    status: str | None
    outcome: str | None
    error: dict[str, Any] | None
    summary: dict[str, Any] | None
    related: dict[str, Any]
    run: int
    sequence: int
    data: Any
    bridge: dict[str, Any]


class EventPage(TypedDict):
    """Events, newest first; with `after` oldest first, and then `next_cursor` is never null."""

    data: list[EventShape]
    next_cursor: str | None


class AttemptShape(TypedDict):
    """One HTTP request to the receiver; `destination` is where it went, which a change of the URL does not alter."""

    at: str
    destination: str
    status: int | None
    failure: str | None
    reason: str
    duration_ms: int
    response_excerpt: str


class DeliveryShape(TypedDict):
    """One event to one subscription: a callback or an endpoint."""

    id: str
    object: Literal["delivery"]
    event_id: str
    event_type: NotRequired[str]
    callback_id: str | None
    endpoint_id: str | None
    state: DeliveryWord
    destination: str
    created_at: str
    finished_at: str | None
    next_attempt_at: str | None
    attempt_count: int
    attempts: list[AttemptShape]
    reason: str | None


class DeliveryPage(TypedDict):
    """Deliveries, newest first."""

    data: list[DeliveryShape]
    next_cursor: str | None


class ResentShape(TypedDict):
    """An event that is sent again, with its new deliveries."""

    id: str
    object: Literal["event"]
    data: list[DeliveryShape]


class ReconciledShape(TypedDict):
    """The ids of events that were missing, and how many of them are sent.

    With `next_cursor` there may be more to list; with `task_id` that task sends what there is beyond `data`.
    """

    id: str
    object: Literal["reconciliation"]
    dry_run: bool
    data: list[str]
    count: int
    next_cursor: str | None
    task_id: NotRequired[str]


TaskWord = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class TaskShape(TypedDict):
    """Work on many objects: `looked_at` of `total` so far, of which `count` were changed.

    `resumed` is how often another attempt went on with it. `error` says what went wrong, or why the last attempt ended early.
    """

    id: str
    object: Literal["task"]
    kind: str
    state: TaskWord
    total: int
    looked_at: int
    count: int
    per_second: float | None
    resumed: int
    error: str | None
    cancel_requested: bool
    created_at: str
    started_at: str | None
    ended_at: str | None


class TaskPage(TypedDict):
    """Tasks, newest first."""

    data: list[TaskShape]
    next_cursor: str | None


class RecoveredShape(TypedDict):
    """How many deliveries are sent again; while `state` is not "succeeded" there are more to come, see the task."""

    id: str
    object: Literal["recovery"]
    count: int
    state: TaskWord
    task_id: str


class InboxEntry(TypedDict):
    """A delivery as the built-in inbox received it."""

    id: str
    received_at: str
    headers: dict[str, str]
    body: Any


class InboxPage(TypedDict):
    """The newest hundred deliveries to `inbox:`."""

    data: list[InboxEntry]
    next_cursor: None


class EventTypeShape(TypedDict):
    """A type of event, with its JSON Schema and a sample; `schemas`, one for each payload form, only where it is read alone."""

    id: str
    object: Literal["event_type"]
    type: str
    kind: str
    ending: bool
    outcome: str | None
    description: str
    schema: dict[str, Any]
    schemas: NotRequired[dict[str, dict[str, Any]]]
    sample: dict[str, Any]


class EventTypePage(TypedDict):
    """All event types."""

    data: list[EventTypeShape]
    next_cursor: None
