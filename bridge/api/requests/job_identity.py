"""Find out which job a request means, from the field names of the provider's own answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.api.requests.bodies import parse_json
from bridge.domain.templates import describe_unfilled, find_unfilled_id
from bridge.errors import ValidationFailed
from bridge.providers.registry import KINDS, REQUEST_FIELDS
from bridge.providers.request_fields import BARE_FIELDS, MANY_IDS, ONE_ID, say_noun
from bridge.providers.spec import RetriedParts

MAX_JOBS = 500
MAX_ID_CHARS = 200


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
    many = field == MANY_IDS
    ids = _read_ids(values[field], field) if many else (read_id(values[field], field),)
    pattern = KINDS[kind].id_pattern
    for each in ids:
        if not pattern.fullmatch(each):
            blanks = ", without blanks around it" if each.strip() != each else ""
            raise ValidationFailed(
                field, f"not an id of a {kind}: use it exactly as the provider's answer gave it{blanks}"
            )
    retried = KINDS[kind].names.retried
    return NamedJobs(
        kind=kind, ids=ids, many=many, retried=_read_retried(values, retried) if retried is not None else ()
    )


def read_id(value: Any, field: str) -> str:
    """Return an id as text, from a string, a number, or a list of one; raise ValidationFailed for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        raise ValidationFailed(
            field, f"one id, not a list: for several {REQUEST_FIELDS.bare_noun}s use {MANY_IDS}"
        )
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**MAX_ID_CHARS else "9" * (MAX_ID_CHARS + 1)
    if not isinstance(value, str) or not value:
        raise ValidationFailed(field, "an id is text or a whole number")
    if len(value) > MAX_ID_CHARS:
        raise ValidationFailed(field, f"an id has at most {MAX_ID_CHARS} characters")
    if (unfilled := find_unfilled_id(value)) is not None:
        raise ValidationFailed(field, describe_unfilled(unfilled))
    return value


def _read_kind(value: Any) -> str:
    kind = value.strip() if isinstance(value, str) else ""
    if kind in REQUEST_FIELDS.unregistrable:
        raise ValidationFailed("kind", REQUEST_FIELDS.unregistrable[kind])
    if kind not in REQUEST_FIELDS.own:
        raise ValidationFailed("kind", f"use one of {', '.join(REQUEST_FIELDS.own)}")
    return kind


def _find_field(values: Mapping[str, Any], kind: str | None) -> tuple[str, str]:
    """Return the field that holds the id, and the kind of its job."""
    if kind is not None:
        for field in (*REQUEST_FIELDS.own[kind], *BARE_FIELDS, "id"):
            if field in values:
                return field, kind
        own = (*REQUEST_FIELDS.own[kind], "id")
        raise ValidationFailed(own[0], f"missing: kind {kind} needs the job's id in {' or '.join(own)}")
    named = [field for field in REQUEST_FIELDS.kinds if field in values]
    shapes = (
        [kind for name, kind in REQUEST_FIELDS.shapes.items() if name in values] if "id" in values else []
    )
    if len(shapes) == 1:
        named = [field for field in named if field not in REQUEST_FIELDS.relatives[shapes[0]]]
    if len(named) + len(shapes) == 1:
        return ("id", shapes[0]) if shapes else (named[0], REQUEST_FIELDS.kinds[named[0]])
    if named and _is_one_job(named, values):
        return named[0], REQUEST_FIELDS.kinds[named[0]]
    if not named and not shapes:
        raise ValidationFailed(ONE_ID, _missing(values))
    fields = ", ".join([*named, *(["id"] if shapes else [])])
    raise ValidationFailed("kind", f"missing: {fields} name more than one job; add kind, or send one of them")


def _is_one_job(fields: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Return whether some fields are different spellings of one kind's id and hold the same one."""
    first, *others = fields
    spellings = REQUEST_FIELDS.own[REQUEST_FIELDS.kinds[first]]
    return first in spellings and all(
        field in spellings and values[field] == values[first] for field in others
    )


def _missing(values: Mapping[str, Any]) -> str:
    if "id" in values:
        return f"missing: an id alone does not say of what; add kind, one of {', '.join(REQUEST_FIELDS.own)}"
    bare = f"{ONE_ID} ({say_noun(REQUEST_FIELDS.bare_noun)})"
    named = [f"{name} ({what})" if what else name for name, what in REQUEST_FIELDS.described.items()]
    return f"missing: name the job with {', '.join([bare, *named])}, or kind and id"


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


def _read_retried(values: Mapping[str, Any], names: RetriedParts) -> tuple[tuple[str, str], ...]:
    """Return the pairs (old part, new part) of a retry's answer, in which the provider lists what it began anew."""
    entries = values.get(names.field, [])
    if not isinstance(entries, Sequence) or isinstance(entries, str) or len(entries) > MAX_JOBS:
        raise ValidationFailed(names.field, "leave it as the provider's answer gave it: a list of objects")
    pairs = []
    for entry in entries:
        if not isinstance(entry, dict) or not {names.original, names.new} <= entry.keys():
            raise ValidationFailed(names.field, f"each entry needs {names.original} and {names.new}")
        pairs.append((read_id(entry[names.original], names.field), read_id(entry[names.new], names.field)))
    return tuple(pairs)
