"""Find out which job a request means, from the field names of the provider's own answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.api.requests.bodies import parse_json
from bridge.errors import ValidationFailed
from bridge.providers.registry import KINDS

MAX_JOBS = 500
MAX_ID_CHARS = 200

# The kind that a field stands for when the request has no `kind`.
FIELDS: Mapping[str, str] = {
    "job_ids": "sync_job",
    "job_id": "sync_job",
    "generated_post_id": "generated_post",
    "generated_media_item_id": "generated_media_item",
    "outgoing_post_id": "outgoing_post",
    "projectId": "reelbot_video",
    "project_id": "reelbot_video",
}
# A provider's object has an `id` and one of these lists, which shows its kind.
SHAPES: Mapping[str, str] = {"media_items": "generated_post", "deliveries": "outgoing_post"}
# Fields in which such an object names related objects; they are not a second job of the request.
RELATIVES: Mapping[str, frozenset[str]] = {
    "generated_post": frozenset({"generated_post_id", "outgoing_post_id"}),
    "outgoing_post": frozenset({"generated_post_id", "outgoing_post_id"}),
}
OWN_FIELD: Mapping[str, tuple[str, ...]] = {
    "sync_job": (),
    "generated_post": ("generated_post_id",),
    "generated_media_item": ("generated_media_item_id",),
    "voice_conversion": ("generated_media_item_id",),
    "outgoing_post": ("outgoing_post_id",),
    "reelbot_video": ("projectId", "project_id"),
}
JOB_WORDS = frozenset({*FIELDS, *SHAPES, "id", "kind", "retried_items"})
DELIVERY_HINT = (
    "a publishing_delivery is not registered by itself: register its outgoing post (outgoing_post_id) with "
    'once: false, and with events: ["publishing_delivery.*"] where only its deliveries count'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedJobs:
    """The jobs of a request; `many`: it named them in a list, so that its answer is a list too."""

    kind: str
    ids: tuple[str, ...]
    many: bool = False
    retried: tuple[tuple[str, str], ...] = ()


def name_jobs(values: Mapping[str, Any]) -> NamedJobs:
    """Return the jobs that a request's fields name; raise ValidationFailed if none or different ones are named."""
    kind = _read_kind(values["kind"]) if "kind" in values else None
    field, kind = _find_field(values, kind)
    many = field == "job_ids"
    ids = _read_ids(values[field], field) if many else (read_id(values[field], field),)
    pattern = KINDS[kind].id_pattern
    for each in ids:
        if not pattern.fullmatch(each):
            raise ValidationFailed(
                field, f"not an id of a {kind}: use it exactly as the provider's answer gave it"
            )
    return NamedJobs(
        kind=kind, ids=ids, many=many, retried=_read_retried(values) if kind == "generated_post" else ()
    )


def read_id(value: Any, field: str) -> str:
    """Return an id as text, from a string, a number, or a list of one; raise ValidationFailed for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        raise ValidationFailed(field, "one id, not a list: for several sync jobs use job_ids")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**MAX_ID_CHARS else "9" * (MAX_ID_CHARS + 1)
    if not isinstance(value, str) or not value:
        raise ValidationFailed(field, "an id is text or a whole number")
    if len(value) > MAX_ID_CHARS:
        raise ValidationFailed(field, f"an id has at most {MAX_ID_CHARS} characters")
    return value


def _read_kind(value: Any) -> str:
    kind = value.strip() if isinstance(value, str) else ""
    if kind == "publishing_delivery":
        raise ValidationFailed("kind", DELIVERY_HINT)
    if kind not in OWN_FIELD:
        raise ValidationFailed("kind", f"use one of {', '.join(OWN_FIELD)}")
    return kind


def _find_field(values: Mapping[str, Any], kind: str | None) -> tuple[str, str]:
    """Return the field that holds the id, and the kind of its job."""
    if kind is not None:
        for field in (*OWN_FIELD[kind], "job_ids", "job_id", "id"):
            if field in values:
                return field, kind
        own = (*OWN_FIELD[kind], "id")
        raise ValidationFailed(own[0], f"missing: kind {kind} needs the job's id in {' or '.join(own)}")
    named = [field for field in FIELDS if field in values]
    shapes = [shape for name, shape in SHAPES.items() if name in values and "id" in values]
    if len(shapes) == 1:
        named = [field for field in named if field not in RELATIVES[shapes[0]]]
    if len(named) + len(shapes) == 1:
        return ("id", shapes[0]) if shapes else (named[0], FIELDS[named[0]])
    if named == ["projectId", "project_id"] and values["projectId"] == values["project_id"]:
        return "projectId", "reelbot_video"
    if not named and not shapes:
        raise ValidationFailed("job_id", _missing(values))
    fields = ", ".join([*named, *(["id"] if shapes else [])])
    raise ValidationFailed("kind", f"missing: {fields} name more than one job; add kind, or send one of them")


def _missing(values: Mapping[str, Any]) -> str:
    if "id" in values:
        return f"missing: an id alone does not say of what; add kind, one of {', '.join(OWN_FIELD)}"
    return (
        "missing: name the job with job_id (a sync job), generated_post_id, generated_media_item_id, "
        "outgoing_post_id, project_id (a ReelBot video), or kind and id"
    )


def _read_ids(value: Any, field: str) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse_json(value, field=field)
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ValidationFailed(field, 'a list of ids, such as ["id-1", "id-2"]')
    if len(value) > MAX_JOBS:
        raise ValidationFailed(field, f"at most {MAX_JOBS} ids in one request: split the list")
    return tuple(dict.fromkeys(read_id(each, field) for each in value))


def _read_retried(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the pairs (old item, new item) of the answer to a `failed_only` regeneration (Generation guide)."""
    items = values.get("retried_items", [])
    if not isinstance(items, Sequence) or isinstance(items, str) or len(items) > MAX_JOBS:
        raise ValidationFailed(
            "retried_items", "leave it as the provider's answer gave it: a list of objects"
        )
    pairs = []
    for item in items:
        if not isinstance(item, dict) or not {"original_item_id", "new_item_id"} <= item.keys():
            raise ValidationFailed("retried_items", "each entry needs original_item_id and new_item_id")
        pairs.append(
            tuple(read_id(item[name], "retried_items") for name in ("original_item_id", "new_item_id"))
        )
    return tuple((old, new) for old, new in pairs)
