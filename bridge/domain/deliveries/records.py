"""The records of a delivery and of its attempts.

Times are Unix milliseconds. Records are packed as arrays, so new fields go to the end and carry a default.
"""

import hashlib
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

from bridge.domain.ids import delivery_id


class Attempt(Struct, frozen=True, array_like=True, kw_only=True):
    """One HTTP request of a delivery and its outcome."""

    at_ms: int
    status: int | None
    failure: str | None
    reason: str
    duration_ms: int
    excerpt: str = ""
    lane: str = ""  # where it went, if the delivery has moved since
    body: bytes = b""  # hash of the body that was sent, see `hash_body`; empty: it is not known


class DeliveryState(StrEnum):
    """The states of a delivery; `in_flight` is a `pending` one with a leased attempt, and is never stored."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    SUCCEEDED = "succeeded"
    PARKED = "parked"
    CANCELLED = "cancelled"


OPEN: Final = frozenset(
    {DeliveryState.PENDING, DeliveryState.PARKED}
)  # neither received nor given up on purpose


class Delivery(Struct, frozen=True, array_like=True, kw_only=True):
    """An event that is sent to a subscription."""

    id: str
    event: str
    job: str  # job key
    subscription: str  # id; its prefix is that of its kind
    project: str
    lane: str
    state: DeliveryState
    created_ms: int
    schema: int = 1
    attempts: tuple[Attempt, ...] = ()  # the last 20
    tries: int = 0  # attempts ever
    step: int = 0  # attempts since the retry schedule was last started
    refusals: int = 0
    resend: bool = False  # sent again on a client's request, marked webhook-resend
    reason: str = ""  # why it is parked or cancelled
    done_ms: int = 0
    resume_ms: int = 0  # when the schedule goes on after an extra attempt; 0: the next one is not extra
    late: bool = False  # an ending that follows the subscription's own `.timed_out`
    busy_ms: int = (
        0  # until when an attempt that a change has left behind may last; the next one waits for it
    )
    restarted_ms: int = 0  # when its retry schedule was last started again; 0: never


def hash_body(body: bytes) -> bytes:
    """Return 8 bytes that tell whether a body is the one that was sent."""
    return hashlib.blake2b(body, digest_size=8).digest()


def new_delivery(
    *, event: str, job: str, subscription: str, project: str, lane: str, now_ms: int, late: bool = False
) -> Delivery:
    """Return the delivery of an event to a subscription; the two determine its id."""
    return Delivery(
        id=delivery_id(event, subscription),
        event=event,
        job=job,
        subscription=subscription,
        project=project,
        lane=lane,
        state=DeliveryState.PENDING,
        created_ms=now_ms,
        late=late,
    )


def visible_state(delivery: Delivery, due_ms: int | None) -> DeliveryState:
    """Return a delivery's state as clients see it; `due_ms` is its next attempt, negative while one is in flight."""
    is_in_flight = delivery.state is DeliveryState.PENDING and due_ms is not None and due_ms < 0
    return DeliveryState.IN_FLIGHT if is_in_flight else delivery.state


def find_trouble(delivery: Delivery) -> Literal["parked", "failing"] | None:
    """Return what is wrong with a delivery: it is parked, or an attempt has failed and others follow; None: nothing."""
    if delivery.state is DeliveryState.PARKED:
        return "parked"
    return "failing" if delivery.state is DeliveryState.PENDING and delivery.tries else None


def ended_before(delivery: Delivery, before_ms: int | None) -> bool:
    """Whether a delivery that is over was so before that time; None: whenever that was."""
    return before_ms is None or delivery.done_ms <= before_ms
