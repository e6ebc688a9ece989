"""The models of queries and bodies, which the server checks and OpenAPI describes."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from bridge.api.requests.coercion import Headers, Metadata, Seconds, Url, WordList
from bridge.api.responses.models import CallbackWord, DeliveryWord, Kind
from bridge.api.words import one_of
from bridge.providers.registry import PROVIDERS, REQUEST_FIELDS
from bridge.providers.request_fields import MANY_IDS, say_noun

MAX_NAME_CHARS = 100
BARE_NOUN = REQUEST_FIELDS.bare_noun
Payload = Literal["full", "thin", "flat", "cloudevents"]
JobKind = Annotated[str, one_of(REQUEST_FIELDS.own)]

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
    callback_url: Url | None = Field(default=None, max_length=4096)
    state: CallbackWord | None = None


class CallbackSelection(_Fields):
    """Which callbacks to delete: exactly one of the two."""

    job_id: str | None = Field(default=None, max_length=200)
    callback_url: Url | None = Field(default=None, max_length=4096)


def _add_provider_fields(schema: dict[str, Any]) -> None:
    """Add the fields that have names of the providers', after the fields of the bridge that mean the like."""
    after = {
        MANY_IDS: REQUEST_FIELDS.described,
        "secret": dict.fromkeys(REQUEST_FIELDS.persona_fields, ""),
    }
    properties: dict[str, Any] = {}
    for name, described in schema["properties"].items():
        properties[name] = described
        properties |= {field: _describe_text(field, what) for field, what in after.get(name, {}).items()}
    schema["properties"] = properties


def _describe_text(name: str, description: str) -> dict[str, Any]:
    described = {"description": description} if description else {}
    title = name.replace("_", " ").title()
    return {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, **described, "title": title}


class CallbackBody(_Fields):
    """A registration. Name the job by one of the id fields, or by `kind` and `id`."""

    model_config = ConfigDict(json_schema_extra=_add_provider_fields)

    callback_url: str = Field(description="gets the callback; `inbox:` for trying out", examples=["inbox:"])
    job_id: str | None = Field(default=None, description=say_noun(BARE_NOUN), examples=["5b0d3f1e-77aa"])
    job_ids: list[str] | None = Field(default=None, description=f"{BARE_NOUN}s, a callback each, all or none")
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
    timeout_seconds: float | None = Field(default=None, ge=1, le=30 * 86400)
    expect: Literal["any", "new_run"] = "any"
    payload: Payload = "full"
    verify: bool = Field(default=False, description="read the job once before answering")
    account_id: str | None = Field(default=None, description="which account, where the provider has several")


class CallbackChange(_Fields):
    """Fields to change; null removes metadata, headers, timeout_seconds."""

    callback_url: Url | None = None
    headers: Headers | None = None
    metadata: Metadata | None = None
    events: WordList | None = None
    timeout_seconds: Seconds | None = Field(default=None, ge=1, le=30 * 86400, allow_inf_nan=False)


class TestBody(_Fields):
    """Where to send a sample."""

    callback_url: Url | None = Field(default=None, description="or `url`")
    url: Url | None = None
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
        default=0, ge=0, le=60, allow_inf_nan=False, description="seconds; no answer takes more than 55"
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

    provider: Annotated[str, one_of(PROVIDERS)]
    credential: str = Field(min_length=1, max_length=4096)
    name: str = Field(default="", max_length=MAX_NAME_CHARS)


class CredentialBody(_Fields):
    """The credential that replaces the account's present one."""

    credential: str = Field(min_length=1, max_length=4096)
