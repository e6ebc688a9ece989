"""Read the bodies of the endpoints' operations, in the forms that no-code tools send. No I/O."""

from typing import Annotated, Any, Final

from msgspec import UNSET
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bridge.api.requests.bodies import Fields
from bridge.api.requests.callback_request import (
    EVENT_FIELDS,
    first_of,
    parse_objects,
    present,
    read_model,
    unlist,
)
from bridge.api.requests.coercion import Flag, Headers, Metadata, Url, WordList
from bridge.api.requests.commands import judge_endpoint_events, judge_headers, judge_secret, judge_url
from bridge.api.requests.fields import REMOVABLE, Payload, Timestamp
from bridge.domain.subscriptions.endpoint import EVERY_PERSONA
from bridge.domain.urls.policy import UrlPolicy
from bridge.errors import ValidationFailed
from bridge.providers.spec import JOB_ID
from bridge.services.subscriptions.endpoints import EndpointFields

URL_FIELDS: Final = ("url", "callback_url", "webhook_url")
MAX_DESCRIPTION_CHARS: Final = 500
_NOT_REMOVABLE: Final = frozenset({"url", "payload", "enabled"})
_LISTS: Final = frozenset({"events", "personas"})


def _read_rate(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
    try:
        return float(
            "" if isinstance(value, bool) else value
        )  # true is no number, though Python's float takes it
    except (TypeError, ValueError, OverflowError):
        raise ValueError("use a number of deliveries a second, such as 5") from None


Rate = Annotated[float, Field(ge=0.01, le=1000, allow_inf_nan=False), BeforeValidator(_read_rate)]


class EndpointChange(BaseModel):
    """Fields of an endpoint to change; null removes one where it may be removed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: Url | None = Field(default=None, description="gets the events; `inbox:` for trying out")
    events: WordList | None = Field(
        default=None,
        description="types, globs, bare states; default: all ending events",
        json_schema_extra={REMOVABLE: True},
    )
    personas: WordList | None = Field(
        default=None,
        description='only events of these personas; `["*"]` is all',
        json_schema_extra={REMOVABLE: True},
    )
    description: str | None = Field(
        default=None, max_length=MAX_DESCRIPTION_CHARS, json_schema_extra={REMOVABLE: True}
    )
    metadata: Metadata | None = Field(
        default=None, description="sent with each event, at most 4 KB", json_schema_extra={REMOVABLE: True}
    )
    headers: Headers | None = Field(
        default=None, description="for the receiver; write-only", json_schema_extra={REMOVABLE: True}
    )
    payload: Payload | None = None
    rate_limit_per_second: Rate | None = Field(
        default=None, description="deliveries a second at most", json_schema_extra={REMOVABLE: True}
    )
    enabled: Flag | None = None


class EndpointBody(EndpointChange):
    """A new endpoint: a URL that gets all matching events of the project."""

    secret: str | None = Field(
        default=None,
        description="whsec_…; default: a generated one",
        json_schema_extra={"pattern": "^whsec_"},
    )


class EndpointTestBody(BaseModel):
    """What to send as a test."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: str = Field(
        default="webhook.test",
        max_length=100,
        description="a type of the catalogue; its sample comes with every field filled",
    )


class EndpointRecoverBody(BaseModel):
    """The period whose events the endpoint is to get, as far as it lacks them."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    since: Timestamp = Field(examples=["2026-11-21T00:00:00Z"])
    until: Timestamp | None = None


def read_endpoint(fields: Fields, policy: UrlPolicy) -> tuple[EndpointBody, EndpointFields]:
    """Read a new endpoint; raise ValidationFailed that names the field and the fix."""
    values = _pick(present(parse_objects(fields)))
    if "url" not in values:
        raise ValidationFailed("url", "missing: add the URL that gets the events (`inbox:` for trying out)")
    body = read_model(EndpointBody, values)
    if body.secret is not None:
        judge_secret(body.secret)
    return body, _judge(body, frozenset(values), policy)


def read_change(fields: Fields, policy: UrlPolicy) -> EndpointFields:
    """Read changes: null removes a field, empty text (which tools send for empty fields) is ignored."""
    values = _pick({name: value for name, value in parse_objects(fields).items() if value != ""})
    names = frozenset(
        name for name, value in values.items() if value is not None or name not in _NOT_REMOVABLE
    )
    if not names & EndpointChange.model_fields.keys():
        raise ValidationFailed("", f"nothing to change: send one of {', '.join(EndpointChange.model_fields)}")
    return _judge(read_model(EndpointChange, {name: values[name] for name in names}), names, policy)


def _pick(values: dict[str, Any]) -> dict[str, Any]:
    known = {
        name: value if name in _LISTS else unlist(name, value)
        for name, value in values.items()
        if name in EndpointBody.model_fields
    }
    for names in (URL_FIELDS, EVENT_FIELDS):
        if any(name in values for name in names):
            known[names[0]] = first_of(values, names)
    return known


def _judge(body: EndpointChange, names: frozenset[str], policy: UrlPolicy) -> EndpointFields:
    headers = None if body.headers is None else judge_headers(body.headers)
    return EndpointFields(
        url=judge_url(body.url, policy, field="url") if body.url else UNSET,
        events=judge_endpoint_events(body.events or ()) if "events" in names else UNSET,
        personas=_judge_personas(body.personas or ()) if "personas" in names else UNSET,
        description=body.description or "" if "description" in names else UNSET,
        metadata=body.metadata if "metadata" in names else UNSET,
        headers=headers if "headers" in names else UNSET,
        payload=body.payload or UNSET,
        rate=body.rate_limit_per_second if "rate_limit_per_second" in names else UNSET,
        enabled=body.enabled if body.enabled is not None else UNSET,
    )


def _judge_personas(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in words:
        if word != EVERY_PERSONA and not JOB_ID.fullmatch(word):
            raise ValidationFailed("personas", 'not an id: use ids exactly as the provider gave them, or "*"')
    return (EVERY_PERSONA,) if EVERY_PERSONA in words else tuple(dict.fromkeys(words))
