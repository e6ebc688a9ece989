"""What one answer of a provider means, in terms that are the same for all providers."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class Outcome(StrEnum):
    """How a job ended: the `outcome` of an ending event."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class Timing(Struct, frozen=True, kw_only=True, gc=False):
    """Documented times of a kind in seconds, unscaled: poll every `interval_s`, give up after `timeout_s`."""

    interval_s: float
    timeout_s: float


class Ending(Struct, frozen=True, kw_only=True, gc=False):
    """A job's end: the last word of its event's type (`completed`), the outcome, and the provider's error message."""

    word: str
    outcome: Outcome
    message: str | None = None


class Part(Struct, frozen=True, kw_only=True, gc=False):
    """An item of a generated post or a delivery of an outgoing post; `ending` is None while it runs."""

    id: str
    status: str
    ending: Ending | None
    data: Mapping[str, Any]


class Observation(Struct, frozen=True, kw_only=True, gc=False):
    """A provider's object as far as the bridge understands it.

    `data` is the object as the provider returned it, unwrapped, always with an `id`; `shortened` means that it was so
    large that only what tells its state was kept. `progress` is the last word of the progress event for this state, None
    while queued. `review` is a post's review status. `unknown` lists status words that the bridge does not know: the job
    then counts as running, and its timeline shows them. `claimed` is an ending that the object's own status names
    although parts of it are open (`domain/jobs/claims.py` says when it counts), and `moves` that a part has begun.
    `settled` marks a post that names its ending and shows no part: it is polled as slowly as a draft. `idle` marks an
    outgoing post that has not begun (draft, scheduled, no deliveries), so that its watch timeout does not run;
    `scheduled_for_ms` is when it will begin. `timing` depends on the state (an image is polled faster than a video).
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
    claimed: Ending | None = None
    moves: bool = False
    shortened: bool = False
    settled: bool = False
    idle: bool = False
    scheduled_for_ms: int | None = None


class Observed(Struct, frozen=True, kw_only=True, gc=False):
    """The provider returned the object."""

    observation: Observation


class JobNotFound(Struct, frozen=True, kw_only=True, gc=False):
    """404 in the provider's own format: the id is unknown, deleted, or another account's."""


class KeyRefused(Struct, frozen=True, kw_only=True, gc=False):
    """401: the account's key is not accepted."""


class KindForbidden(Struct, frozen=True, kw_only=True, gc=False):
    """403 in JSON: the key may not read this kind."""


class Throttled(Struct, frozen=True, kw_only=True, gc=False):
    """429: no request is allowed before `until_ms` (Unix milliseconds)."""

    until_ms: int


class UpstreamBusy(Struct, frozen=True, kw_only=True, gc=False):
    """503: wait `wait_s` seconds (unscaled) before the next read of this job."""

    wait_s: float


class UpstreamBroken(Struct, frozen=True, kw_only=True, gc=False):
    """500, 502, no answer, HTML or unreadable JSON: an outage that says nothing about the job."""

    reason: str


class UnexpectedAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """400, 402, 409 and other answers that show no state of the job: only its timeline mentions them."""

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


class RateHeaders(Struct, frozen=True, kw_only=True, gc=False):
    """The account's rate limit as an answer's headers show it; None where a header is missing."""

    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None
