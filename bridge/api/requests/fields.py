"""The models of queries and bodies, which the server checks and OpenAPI describes."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from bridge.api.requests.coercion import Headers, Metadata, Seconds, WordList
from bridge.api.responses.models import CallbackWord, DeliveryWord, Kind

MAX_NAME_CHARS = 100
Payload = Literal["full", "thin", "flat", "cloudevents"]
JobKind = Literal[
    "sync_job",
    "generated_post",
    "generated_media_item",
    "voice_conversion",
    "outgoing_post",
    "reelbot_video",
]

# `proxy` is accepted, because keys of existing installations have it, but not documented: no route needs it.
Scope = Annotated[
    Literal["register", "read", "manage", "proxy", "admin"],
    WithJsonSchema({"type": "string", "enum": ["register", "read", "manage", "admin"]}),
]


def _check_time(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1970 <= aware.year <= 9000:
        raise ValueError("use a time such as 2026-11-21T10:00:00Z")
    return aware


Timestamp = Annotated[datetime, AfterValidator(_check_time)]


def timestamp_ms(moment: datetime) -> int:
    """Return a time in Unix milliseconds."""
    return int(moment.timestamp() * 1000)


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class PageQuery(_Fields):
    """A page of a list."""

    limit: int = Field(default=100, ge=1, le=100, description="at most so many")
    cursor: str | None = Field(default=None, max_length=200, description="next_cursor of the page before")


class CallbackQuery(PageQuery):
    """Which callbacks to list."""

    kind: Kind | None = None
    job_id: str | None = Field(default=None, max_length=200)
    callback_url: str | None = Field(default=None, max_length=4096)
    state: CallbackWord | None = None


class CallbackSelection(_Fields):
    """Which callbacks to delete: exactly one of the two."""

    job_id: str | None = Field(default=None, max_length=200)
    callback_url: str | None = Field(default=None, max_length=4096)


class CallbackBody(_Fields):
    """A registration. Name the job by one of the id fields, or by `kind` and `id`."""

    callback_url: str = Field(description="gets the callback; `inbox:` for trying out", examples=["inbox:"])
    job_id: str | None = Field(default=None, description="a sync job", examples=["5b0d3f1e-77aa"])
    job_ids: list[str] | None = Field(default=None, description="sync jobs, a callback each, all or none")
    generated_post_id: str | None = None
    generated_media_item_id: str | None = None
    outgoing_post_id: str | None = None
    project_id: str | None = Field(default=None, description="a ReelBot video")
    kind: JobKind | None = None
    id: str | None = Field(default=None, description="with kind: the job's id")
    events: list[str] | None = Field(
        default=None, description="types, globs, bare states; default: ending events"
    )
    once: bool = True
    late: bool = Field(
        default=True,
        description="with once: the real ending still follows a timed_out, bridge.late true in it",
    )
    metadata: dict[str, Any] | str | None = Field(default=None, description="echoed, at most 4 KB")
    headers: dict[str, str] | None = Field(default=None, description="for the receiver; write-only")
    secret: str | None = Field(default=None, description="whsec_…; default: the project's", pattern="^whsec_")
    persona_id: str | None = None
    timeout_seconds: float | None = Field(default=None, ge=1, le=30 * 86400)
    expect: Literal["any", "new_run"] = "any"
    payload: Payload = "full"
    verify: bool = Field(default=False, description="read the job once before answering")
    account_id: str | None = Field(default=None, description="which account, where the provider has several")


class CallbackChange(_Fields):
    """Fields to change; null removes metadata, headers, timeout_seconds."""

    callback_url: str | None = None
    headers: Headers | None = None
    metadata: Metadata | None = None
    events: WordList | None = None
    timeout_seconds: Seconds | None = Field(default=None, ge=1, le=30 * 86400, allow_inf_nan=False)


class TestBody(_Fields):
    """Where to send a sample."""

    callback_url: str | None = Field(default=None, description="or `url`")
    url: str | None = None
    payload: Payload = "full"
    headers: Headers | None = None
    secret: str | None = None


class EventQuery(PageQuery):
    """Which events to list; with `after` (an event's id or a cursor) the oldest first, `wait` waits for a first one."""

    type: str | None = Field(default=None, max_length=100)
    kind: Kind | None = None
    job_id: str | None = Field(default=None, max_length=200)
    after: str | None = Field(default=None, max_length=200)
    wait: float = Field(
        default=0, ge=0, le=30, allow_inf_nan=False, description="seconds; no answer takes more than 8"
    )


class DeliveryQuery(PageQuery):
    """Which deliveries to list."""

    state: DeliveryWord | None = None
    callback_id: str | None = Field(default=None, max_length=100)
    event_id: str | None = Field(default=None, max_length=100)


class RecoverBody(_Fields):
    """Which deliveries to send again: those created from `since` to `until`, by default parked ones."""

    since: Timestamp = Field(examples=["2026-11-21T00:00:00Z"])
    until: Timestamp | None = None
    state: Literal["parked", "cancelled", "succeeded"] = "parked"


class SampleQuery(_Fields):
    """The payload format of the samples."""

    payload: Payload = "full"


class RotateBody(_Fields):
    """The new secret; default: a generated one."""

    secret: str | None = None


class ProjectBody(_Fields):
    """A new tenant."""

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)


class KeyBody(_Fields):
    """A new API key; `project_id` only with an admin key of project default."""

    name: str = Field(default="", max_length=MAX_NAME_CHARS)
    scopes: list[Scope] = Field(default=["register", "read"], min_length=1, max_length=10)
    project_id: str | None = Field(default=None, max_length=MAX_NAME_CHARS)


class AccountBody(_Fields):
    """A new account at a provider."""

    provider: Literal["reelmirror", "reelbot"]
    credential: str = Field(min_length=1, max_length=4096)
    name: str = Field(default="", max_length=MAX_NAME_CHARS)


class CredentialBody(_Fields):
    """The credential that replaces the account's present one."""

    credential: str = Field(min_length=1, max_length=4096)
