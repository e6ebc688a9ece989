"""What one answer of an upstream means, free of any provider's shape: the words between `providers` and `progress`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a job ended; the `outcome` of an ending event (contract, section 4)."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Documented pace of a kind, in seconds before any scale: poll every `interval_s`, give up after `timeout_s`."""

    interval_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An end as the upstream tells it: the event's last word (`completed`), its outcome, and the upstream's reason."""

    word: str
    outcome: Outcome
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An item of a generated post or a delivery of an outgoing post; `ending` is None while it runs."""

    id: str
    status: str
    ending: Ending | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One upstream object, understood.

    `data` is the object as the upstream gave it, unwrapped, with `id` guaranteed. `progress` is the word of the
    progress event this state stands for, None while merely queued. `review` is a post's review word.
    `unknown` lists words that stand in no table: the job is then still running, and its timeline says so.
    `idle` is an outgoing post that has not begun (draft, scheduled, no deliveries): its clock does not run;
    `scheduled_for_ms` says when it will. `timing` follows the state (an image is polled faster than a video).
    """

    status: str
    ending: Ending | None
    data: Mapping[str, Any]
    timing: Timing
    progress: str | None = None
    review: str | None = None
    parts: tuple[Part, ...] = ()
    related: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    idle: bool = False
    scheduled_for_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The upstream showed the object."""

    observation: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNotFound:
    """404 in the provider's own shape: unknown id, deleted, or another account's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRefused:
    """401: the account's key is not accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindForbidden:
    """403 in JSON: the key may not read this kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """429: nothing may be asked before `until_ms` (Unix milliseconds)."""

    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamBusy:
    """503: wait `wait_s` seconds (before any scale) before the next read of this job."""

    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamBroken:
    """500, 502, no answer, HTML or unreadable JSON: an outage that says nothing about the job."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnexpectedAnswer:
    """402, 400, 409 and other answers that are no state of the job: shown in the timeline, the job goes on."""

    reason: str


PollResult = (
    Observed
    | JobNotFound
    | KeyRefused
    | KindForbidden
    | Throttled
    | UpstreamBusy
    | UpstreamBroken
    | UnexpectedAnswer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHeaders:
    """What an answer's headers say of the account's rate limit; None where a header is missing."""

    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None
