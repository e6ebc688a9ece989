"""Read the body and query of `POST /v1/callbacks`, in the forms that no-code tools send. No I/O."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from bridge.api.requests.bodies import Fields, parse_json, read_fields
from bridge.api.requests.coercion import Flag, Headers, Metadata, Seconds, Url, WordList
from bridge.api.requests.job_identity import NamedJobs, name_jobs, read_id
from bridge.api.requests.spelling import explain_spelling
from bridge.domain.deliveries.headers import check_headers
from bridge.domain.deliveries.signing import check_secret
from bridge.errors import ValidationFailed
from bridge.providers.registry import CHILD_RULES, KINDS, REQUEST_FIELDS
from bridge.providers.request_fields import MANY_IDS, ONE_ID
from bridge.providers.spec import JOB_ID

MAX_ENVELOPES = 3
URL_FIELDS = ("callback_url", "webhook_url", "url")
EVENT_FIELDS = ("events", "event_types", "webhook_events_filter")
OBJECT_FIELDS = REQUEST_FIELDS.objects | {"metadata", "headers"}
_ENVELOPES = frozenset(REQUEST_FIELDS.envelopes)
_MEDIA_NAMES = frozenset((*REQUEST_FIELDS.media_lists, *REQUEST_FIELDS.media_fields))
# Not fields of requests: these are read out of fields that have a provider's names.
DERIVED = ("persona", "media")

Model = TypeVar("Model", bound=BaseModel)


class Options(BaseModel):
    """The fields of a registration that do not name its job."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    callback_url: Url
    events: WordList = ()
    once: Flag = True
    late: Flag = True
    metadata: Metadata | None = None
    headers: Headers | None = None
    secret: str | None = None
    persona: str = ""
    media: str = ""
    timeout_seconds: Seconds | None = None
    expect: Literal["any", "new_run"] = "any"
    payload: Literal["full", "thin", "flat", "cloudevents"] = "full"
    verify: Flag = False
    account_id: str | None = None
    wait_for: Literal["all"] | None = None
    follow: Flag = False

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        return None if headers is None else check_headers(headers)

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: str | None) -> str | None:
        if secret is not None:
            check_secret(secret)
        return secret


OPTIONS = tuple(name for name in Options.model_fields if name not in DERIVED)


class CallbackRequest(Options):
    """A registration with its jobs; `callback_url` and `events` are not checked yet."""

    jobs: NamedJobs


def read_callback_request(
    body: bytes, content_type: str, query: Sequence[tuple[str, str]] = ()
) -> CallbackRequest:
    """Read a registration; raise ValidationFailed that names the field and the fix."""
    values = present(unwrap(read_fields(body, content_type, query)))
    named = {name: value for name, value in values.items() if name in REQUEST_FIELDS.job_words}
    if not named and (otherwise := explain_spelling(values, REQUEST_FIELDS.job_words)):
        raise ValidationFailed(ONE_ID, f"missing: name the job{otherwise}")
    jobs = name_jobs(named)
    request = read_model(CallbackRequest, {**_pick_options(values), "jobs": jobs})
    if request.wait_for:
        _check_group(request)
    if request.follow:
        _check_chain(request)
    if request.expect == "new_run" and not KINDS[jobs.kind].reruns:
        again = " and ".join(f"{kind.noun}s" for kind in KINDS.values() if kind.reruns)
        raise ValidationFailed("expect", f"new_run is for {again}; a {jobs.kind} has only one run")
    return request


def unwrap(fields: Fields) -> dict[str, Any]:
    """Replace the provider's envelopes (`data`, `post`) by their fields; fields beside an envelope are kept and win."""
    values = parse_objects(fields)
    if _ENVELOPES.isdisjoint(values):
        return values
    for _ in range(MAX_ENVELOPES):
        name = next((each for each in REQUEST_FIELDS.envelopes if _is_envelope(values.get(each))), None)
        if name is None:
            break
        inner = values.pop(name)
        values = {**(inner[0] if isinstance(inner, list) else inner), **values}
    for name in REQUEST_FIELDS.envelopes:
        if isinstance(values.get(name), list) and len(values[name]) > 1:
            nouns = f"{REQUEST_FIELDS.bare_noun}s"
            raise ValidationFailed(
                name, f"a list: send one object; for several {nouns} at once use {MANY_IDS}"
            )
    return values


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without null and empty text, which tools send for fields that were left empty."""
    return {name: value for name, value in values.items() if value is not None and value != ""}


def first_of(values: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the value of the first of `names` that is present, None without any."""
    return next((values[name] for name in names if name in values), None)


def read_model(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Check fields against a model; raise ValidationFailed for the first bad one, without its value."""
    _check_characters(model, values)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = str(problem["loc"][0]) if problem["loc"] else ""
    raise ValidationFailed(field, _explain(field, problem["type"], problem["msg"]))


def _check_characters(model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """Refuse text that UTF-8 cannot encode, because it could neither be stored nor sent."""
    for name, value in values.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
        if not isinstance(text, str) or text.isascii() or name not in model.model_fields:
            continue
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValidationFailed(name, "holds half of a character (a lone surrogate): remove it") from None


def _explain(field: str, kind: str, message: str) -> str:
    if kind == "missing":
        return "missing: add it"
    if kind.startswith("datetime_"):
        return "no time: use one such as 2026-11-21T10:00:00Z"
    return (
        message.removeprefix("Value error, ")
        .removeprefix(f"{field}: ")
        .replace("Input should be", "must be", 1)
    )


def _pick_options(values: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in OPTIONS if name in values]
    picked = {name: unlist(name, values[name]) for name in names}
    url = first_of(values, URL_FIELDS)
    if url is None:
        raise ValidationFailed(
            "callback_url",
            "missing: add the URL that gets the callback (`inbox:` for trying out)"
            + explain_spelling(values, URL_FIELDS),
        )
    picked["callback_url"] = unlist("callback_url", url)
    if (events := first_of(values, EVENT_FIELDS)) is not None:
        picked["events"] = events
    picked["persona"] = _find_persona(values)
    picked["media"] = _find_media(values)
    return picked


def _find_media(values: Mapping[str, Any]) -> str:
    """Return the media type that all items of a pasted provider answer share; empty without one, or if they differ."""
    if _MEDIA_NAMES.isdisjoint(values):
        return ""
    lists = REQUEST_FIELDS.media_lists
    shown = [values, *(each for name in lists for each in _as_list(values.get(name)))]
    types = {
        str(each[field]).strip().casefold()
        for each in shown
        for field in REQUEST_FIELDS.media_fields
        if isinstance(each, dict) and field in each
    }
    media = types.pop() if len(types) == 1 else ""
    return media if media in REQUEST_FIELDS.media_types else ""


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _find_persona(values: Mapping[str, Any]) -> str:
    """Return the persona that the job belongs to, empty where the request does not name it."""
    field = next((name for name in REQUEST_FIELDS.persona_fields if name in values), None)
    if field is None:
        return ""
    persona = read_id(values[field], field)
    if not JOB_ID.fullmatch(persona):
        raise ValidationFailed(field, "not an id: use it exactly as the provider's answer gave it")
    return persona


def unlist(name: str, value: Any) -> Any:
    """Return a scalar field's value out of the list of one in which some tools send it."""
    return value[0] if isinstance(value, list) and len(value) == 1 and name != "events" else value


def parse_objects(fields: Fields) -> dict[str, Any]:
    """Return the fields with JSON text parsed where a form or query holds an object as text."""
    values = dict(fields.values)
    if not fields.textual:
        return values
    for name in fields.textual & OBJECT_FIELDS & values.keys():
        text = values[name]
        if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
            values[name] = _parse_object_text(name, text)
    return values


def _parse_object_text(name: str, text: str) -> Any:
    return parse_metadata(text) if name == "metadata" else parse_json(text, field=name)


def parse_metadata(text: str) -> Any:
    """Return what a JSON text holds, or the text itself if it only begins like JSON or is nested too deep."""
    try:
        return parse_json(text, field="metadata")
    except ValidationFailed:
        return text


def _is_envelope(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict)
    )


def _check_group(request: CallbackRequest) -> None:
    """Raise ValidationFailed for what does not go with one event for all jobs."""
    if not request.jobs.many:
        raise ValidationFailed("wait_for", f"waits for several jobs: name them with {MANY_IDS}")
    if not request.once:
        raise ValidationFailed(
            "once", "with wait_for there is one event, and the callback closes: leave it out"
        )


def _check_chain(request: CallbackRequest) -> None:
    """Raise ValidationFailed where nothing can come of a job, or several are followed at once."""
    if request.jobs.kind not in CHILD_RULES:
        kinds = " and ".join(f"{KINDS[each].noun}s" for each in CHILD_RULES)
        raise ValidationFailed("follow", f"is for {kinds}: nothing comes of a {request.jobs.kind}")
    if request.wait_for or len(request.jobs.ids) > 1:
        raise ValidationFailed("follow", "follows one job: register each by itself")
