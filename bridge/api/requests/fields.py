"""The models of queries and bodies, which the server checks and OpenAPI describes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.api.requests.callback_request import EVENT_FIELDS, URL_FIELDS
from bridge.api.requests.coercion import Headers, Metadata, Seconds, Url, WordList
from bridge.api.responses.callback_models import CallbackWord, Kind
from bridge.api.responses.models import DeliveryWord
from bridge.api.words import one_of
from bridge.providers.registry import PROVIDERS, REQUEST_FIELDS
from bridge.providers.request_fields import MANY_IDS, say_noun

MAX_NAME_CHARS = 100
MAX_WAIT_S = 55.0  # below the 60 s after which proxies and hosted tools give a request up
REMOVABLE = "x-removable"  # marks a field in which null means more than an absent field; not published
BARE_NOUN = REQUEST_FIELDS.bare_noun
Payload = Literal["full", "thin", "flat", "cloudevents"]
JobKind = Annotated[str, one_of(REQUEST_FIELDS.own)]

Scope = Literal["register", "read", "manage", "proxy", "admin"]


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


def _describe_text(description: str) -> dict[str, Any]:
    return {"type": "string", **({"description": description} if description else {})}


def _name_jobs() -> dict[str, Any]:
    """Return the fields that name a job in a provider's words."""
    spellings = {name: names[-1] for names in REQUEST_FIELDS.own.values() for name in names}
    described = REQUEST_FIELDS.described
    return {
        name: _describe_text(described.get(name, f"the same as {documented}"))
        for name, documented in spellings.items()
    }


def _name_likewise(names: Sequence[str], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the other names of the first field, with that one's schema."""
    schema = {name: value for name, value in like.items() if name in ("type", "anyOf", "items", "default")}
    return {name: {**schema, "description": f"the same as {names[0]}"} for name in names[1:]}


def _add_other_names(schema: dict[str, Any]) -> None:
    """Add a registration's fields that have names of the providers', and the second names of its own."""
    described = schema["properties"]
    after = {
        URL_FIELDS[0]: _name_likewise(URL_FIELDS, described[URL_FIELDS[0]]),
        MANY_IDS: _name_jobs(),
        EVENT_FIELDS[0]: _name_likewise(EVENT_FIELDS, described[EVENT_FIELDS[0]]),
        "secret": {name: _describe_text("") for name in REQUEST_FIELDS.persona_fields},
    }
    properties: dict[str, Any] = {}
    for name, own in described.items():
        properties[name] = own
        properties |= after.get(name, {})
    schema["properties"] = properties


class WakeUpBody(_Fields):
    """A provider's own webhook, in whatever form: jobs are named by fields whose names end in `id` or `ids`."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})


class CallbackBody(_Fields):
    """A registration. Name the job by one of the id fields, or by `kind` and `id`."""

    model_config = ConfigDict(json_schema_extra=_add_other_names)

    callback_url: str | None = Field(
        default=None, description="required: gets the callback; `inbox:` for trying out", examples=["inbox:"]
    )
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
    timeout_seconds: Seconds | None = None
    expect: Literal["any", "new_run"] = "any"
    payload: Payload = "full"
    verify: bool = Field(default=False, description="read the job once before answering")
    account_id: str | None = Field(default=None, description="which account, where the provider has several")
    wait_for: Literal["all"] | None = Field(
        default=None, description="with job_ids: one callback, and one event once all of them have ended"
    )
    follow: bool = Field(
        default=False,
        description="also what comes of the job, until one chain.ended closes the callback",
    )


class CallbackChange(_Fields):
    """Fields to change; null removes metadata, headers, timeout_seconds."""

    callback_url: Url | None = None
    headers: Headers | None = Field(default=None, json_schema_extra={REMOVABLE: True})
    metadata: Metadata | None = Field(default=None, json_schema_extra={REMOVABLE: True})
    events: WordList | None = None
    timeout_seconds: Seconds | None = Field(default=None, json_schema_extra={REMOVABLE: True})


class TestBody(_Fields):
    """Where to send a sample, and of what."""

    callback_url: Url | None = Field(default=None, description="required")
    webhook_url: Url | None = Field(default=None, description="the same as callback_url")
    url: Url | None = Field(default=None, description="the same as callback_url")
    type: str = Field(
        default="webhook.test",
        max_length=100,
        description="a type of the catalogue; its sample comes with every field filled",
    )
    payload: Payload = "full"
    headers: Headers | None = None
    secret: str | None = None


class EventFilter(_Fields):
    """Which events fit, and behind which one to begin: an event's id or a position."""

    type: str | None = Field(default=None, max_length=100)
    kind: Kind | None = None
    job_id: str | None = Field(default=None, max_length=200)
    after: str | None = Field(default=None, max_length=200)


class StreamQuery(EventFilter):
    """Which events to stream; the header Last-Event-ID counts before `after`."""

    resends: bool = Field(
        default=False, description="also, as stream.resend, what is sent again while this stream is open"
    )


class EventQuery(PageQuery, EventFilter):
    """Which events to list; with `after` (an event's id or a cursor) the oldest first, `wait` waits for a first one."""

    wait: float = Field(default=0, ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="seconds")


class JobQuery(_Fields):
    """Whether to wait for a job's end; a job that is not watched is then watched as a registered one is."""

    wait: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description="seconds until the answer at the latest",
    )
    account_id: str | None = Field(
        default=None, max_length=100, description="whose job it is, for one that is not watched yet"
    )


class StatePageQuery(PageQuery):
    """Which deliveries of one subscription to list."""

    state: DeliveryWord | None = None


class DeliveryQuery(StatePageQuery):
    """Which deliveries to list."""

    callback_id: str | None = Field(default=None, max_length=100)
    endpoint_id: str | None = Field(default=None, max_length=100)
    event_id: str | None = Field(default=None, max_length=100)


class RecoverBody(_Fields):
    """Which deliveries to send again: those created from `since` to `until`, by default parked ones."""

    since: Timestamp = Field(examples=["2026-11-21T00:00:00Z"])
    until: Timestamp | None = None
    state: Literal["parked", "cancelled", "succeeded"] = "parked"


class ReconcileBody(_Fields):
    """The events that a receiver has of those since a time; `endpoint_id` is where to send what it lacks."""

    ids: list[Annotated[str, Field(max_length=100)]] = Field(max_length=10_000)
    since: Timestamp = Field(examples=["2026-11-21T00:00:00Z"])
    until: Timestamp | None = None
    endpoint_id: str | None = Field(
        default=None, max_length=100, description="default: the callbacks that got the event"
    )
    after: str | None = Field(
        default=None, max_length=20, pattern=r"^a\d{1,15}$", description="next_cursor of the answer before"
    )
    dry_run: bool = Field(default=False, description="list what is missing and send nothing")


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
