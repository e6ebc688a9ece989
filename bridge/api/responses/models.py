"""Models of answers, which `views` fills and OpenAPI describes."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other TypedDict before Python 3.12

from bridge.api.responses.callback_models import CallbackWord
from bridge.api.responses.endpoint_models import WarningShape
from bridge.api.responses.following_models import FollowedShape

DeliveryWord = Literal["pending", "in_flight", "succeeded", "parked", "cancelled"]


class ErrorDetail(TypedDict):
    """Why a request failed: `code` for programs, `message` for people."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorAnswer(TypedDict):
    """The body of every answer with an error status."""

    error: ErrorDetail


class WakeUpShape(TypedDict):
    """Confirmation of a wake-up: how many watched jobs it named. The same one has the same `id`."""

    id: str
    object: Literal["wake_up"]
    woken: int


class Deleted(TypedDict):
    """Confirmation of a deletion; with `count` where several objects could match."""

    id: str
    deleted: Literal[True]
    count: NotRequired[int]


class TimelineEntry(TypedDict):
    """One thing that happened, or that will happen next."""

    at: str
    what: Literal["registered", "poll", "event", "attempt", "closed", "next"]
    text: str
    id: NotRequired[str]


class TimelineShape(TypedDict):
    """A callback's history in words, oldest first; `earlier_polls` counts polls that have no entry any more."""

    id: str
    object: Literal["timeline"]
    state: CallbackWord
    polls: int
    earlier_polls: int
    entries: list[TimelineEntry]
    next: list[TimelineEntry]


class JobShape(TypedDict):
    """A job as it was last seen; `data` is the provider's object."""

    id: str
    object: Literal["job"]
    kind: str
    account_id: str
    state: str
    status: str | None
    run: int
    ending: str | None
    event_id: str | None
    polls: int
    last_poll_at: str | None
    watched_since: str
    data: dict[str, Any] | None


class TestShape(TypedDict):
    """A receiver's answer to a test delivery."""

    id: str
    object: Literal["test"]
    verdict: str
    delivered: bool
    status: int | None
    failure: str | None
    reason: str
    duration_ms: int
    response_excerpt: str


class SecretShape(TypedDict):
    """The secret that signs deliveries; after a rotation the old one signs too until `previous_expires_at`."""

    id: Literal["default"]
    object: Literal["secret"]
    secret: str
    previous_expires_at: str | None


class MeShape(TypedDict):
    """The API key of the request, and its project."""

    id: str
    object: Literal["me"]
    project: "ProjectShape"
    key: "KeyShape"
    warnings: list[WarningShape]


class ProjectShape(TypedDict):
    """A tenant; `key` is its first API key, shown only in the answer that creates it."""

    id: str
    object: Literal["project"]
    name: str
    created_at: str
    key: NotRequired[str]


class ProjectPage(TypedDict):
    """All projects, newest first."""

    data: list[ProjectShape]
    next_cursor: str | None


class KeyShape(TypedDict):
    """An API key; `key` itself is shown only in the answer that creates it."""

    id: str
    object: Literal["key"]
    name: str
    scopes: list[str]
    project_id: str
    hint: str
    created_at: str
    key: NotRequired[str]


class KeyPage(TypedDict):
    """Keys, newest first."""

    data: list[KeyShape]
    next_cursor: str | None


class SpentShape(TypedDict):
    """Requests spent by purpose, since the account was first used."""

    single: int
    list: int
    confirm: int
    probe: int


class SavedShape(TypedDict):
    """Requests saved since the account was first used, by reading a job once for all its callbacks, and by lists."""

    coalescing: int
    batching: int


class BudgetShape(TypedDict):
    """An account's rate limit and its use; `remaining` and `resets_at` are null until an answer in this window has them."""

    limit: int
    window_seconds: float
    remaining: int | None
    resets_at: str | None
    share: float
    client_requests: int
    refused: int
    quiet_until: str | None
    spent: SpentShape
    saved: SavedShape
    seconds_per_request: float
    expected_delay_seconds: float
    watched_jobs: int


class AccountShape(TypedDict):
    """One account at a provider."""

    id: str
    object: Literal["account"]
    provider: str
    name: str
    state: Literal["ok", "unauthorized"]
    unauthorized_since: str | None
    note: str | None
    forbidden_kinds: list[str]
    credential_version: int
    created_at: str
    budget: BudgetShape
    following: list[FollowedShape]


class AccountPage(TypedDict):
    """Accounts, newest first."""

    data: list[AccountShape]
    next_cursor: str | None


class HealthShape(TypedDict):
    """The API process answers (`/healthz`)."""

    status: Literal["ok"]


class MasterKeyShape(TypedDict):
    """A master key by its id, and how many values of each noun it has encrypted.

    `configured`: it is in REELBRIDGE_MASTER_KEYS; `encrypts`: it is the first there. One that is configured, does not
    encrypt and holds nothing may be removed once all processes have been restarted.
    """

    id: str
    configured: bool
    encrypts: bool
    holds: dict[str, int]


class ReadinessDetails(TypedDict):
    """What was counted last, at each start of a process and every five minutes.

    What each master key held, and how many records could not be read, by table.
    """

    master_keys: list[MasterKeyShape]
    master_keys_counted_at: str | None
    unreadable_records: dict[str, int]


class ReadinessShape(TypedDict):
    """The store answers too; `workers` counts those with a recent heartbeat (`/readyz`)."""

    status: Literal["ok"]
    workers: int
    details: ReadinessDetails
