"""What a state is called and how it looks: one place, so that a list and a page never disagree. No I/O."""

import math
from typing import Final

from markupsafe import Markup

from bridge.domain.deliveries.records import Delivery, DeliveryState, visible_state
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.observation import Outcome
from bridge.providers.registry import CATALOGUE

Badge = tuple[str, str]  # the class of its colours, and its word
SHAPES: Final = {"run": "▷", "wait": "◷", "good": "✓", "warn": "▲", "bad": "✕", "off": "⏸"}
_OUTCOMES: Final = {
    Outcome.SUCCEEDED: "good",
    Outcome.PARTIAL: "warn",
    Outcome.SKIPPED: "off",
    Outcome.DELETED: "off",
    Outcome.UNKNOWN: "warn",
}
_DELIVERIES: Final = {
    DeliveryState.SUCCEEDED: ("good", "delivered"),
    DeliveryState.PARKED: ("bad", "parked"),
    DeliveryState.CANCELLED: ("off", "cancelled"),
    DeliveryState.IN_FLIGHT: ("run", "in flight"),
}


def show_badge(badge: Badge) -> Markup:
    """Return a state as HTML: a shape and a word, never a colour alone."""
    kind, word = badge
    shape = SHAPES[kind]
    return Markup('<span class="badge {}"><span class="shape" aria-hidden="true">{}</span> {}</span>').format(
        kind, shape, word
    )


def name_event(event_type: str) -> Badge:
    """Return how an event's type looks: as its outcome."""
    known = CATALOGUE.types.get(event_type)
    if known is None or known.outcome is None:
        return "run", event_type
    return _OUTCOMES.get(known.outcome, "bad"), event_type


def name_job(job: Job, *, is_overdue: bool = False) -> Badge:
    """Return how a job's state looks."""
    if job.state is JobState.ENDED:
        return name_event(f"{job.kind}.{job.ending}")[0], job.ending
    if job.state is JobState.TAIL:
        return "warn", "timed out"
    if job.state is JobState.MISSING:
        return "warn", "not found so far"
    if job.auth_refused:
        return "bad", "key refused"
    if not job.seen:
        return "wait", "not read yet"
    if not job.clock_ms:
        return "wait", job.status or "waits to be published"
    return ("warn", "past expected") if is_overdue else ("run", job.status or "running")


def name_delivery(delivery: Delivery, due_ms: int | None) -> Badge:
    """Return how a delivery's state looks."""
    state = visible_state(delivery, due_ms)
    if state is DeliveryState.PENDING:
        return ("warn", "retrying") if delivery.tries else ("wait", "waiting")
    return _DELIVERIES[state]


def show_duration(seconds: float) -> str:
    """Return a length of time for people, as `45 s`, `2:05 min` or `3:10 h`."""
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86400} days"


def say_bound(seconds: float | None) -> str:
    """Return a quantile of lags for people: a bound that most are within."""
    if seconds is None:
        return "nothing yet"
    if math.isinf(seconds):
        return "over an hour"
    return f"{seconds:g} s" if seconds < 60 else show_duration(seconds)


def say_time_left(age_s: float, typical_s: float, late_s: float) -> str:
    """Return how long a job still takes: typically so long in all, nine in ten at most `late_s`."""
    if age_s > late_s:
        return f"past expected by {show_duration(age_s - late_s)}"
    if age_s > typical_s:
        return f"any moment, most end by {show_duration(late_s)}"
    return f"about {show_duration(typical_s - age_s)} left"
