"""Describe the calls that make a provider begin work, and read from their answers which jobs they began."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bridge.domain.starts.records import StartedJob
from bridge.providers.spec import JOB_ID, RetriedParts
from bridge.providers.status_words import read_id

ENVELOPES = ("data", "post")
MAX_JOBS = 100
# No ids, though they may stand where an answer that does not know the id yet has one.
_WORDS = frozenset(("accepted", "generating", "pending", "processing", "queued", "started"))
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class StartSpec:
    """One call that begins jobs of a `kind`. `name` is its name in records.

    `path` is relative to the provider's URL; what stands in braces counts as a field of the request. `answer_fields` may
    hold the id in the answer, or a list of ids; the first one that does counts. If none does, it is the request's
    `request_field`. `about` is the kind of the object that the call changes or begins again, whose id is in `about_field`
    (by default the `request_field`). `persona_field` and `source_field` are fields of the request that say what the job is made of. With `reruns` the id may be that of a job that has ended before. `retried`: see
    `RequestNames`. The answer of a start that is `late` may name no job yet.
    """

    name: str
    path: str
    kind: str
    answer_fields: tuple[str, ...]
    request_field: str = ""
    about: str = ""
    about_field: str = ""
    persona_field: str = ""
    source_field: str = ""
    reruns: bool = False
    retried: RetriedParts | None = None
    late: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path as a pattern, with a group for each variable."""
        parts = _VARIABLE.split(self.path)
        texts = [
            re.escape(part) if number % 2 == 0 else f"(?P<{part}>[^/]+)" for number, part in enumerate(parts)
        ]
        return re.compile("".join(texts) + "/?")


def find_start(
    starts: Sequence[StartSpec], method: str, path: str
) -> tuple[StartSpec, dict[str, str]] | None:
    """Return the start that a request is, with what its path says; None for any other request."""
    if method != "POST":
        return None
    for start in starts:
        if (found := start.pattern.fullmatch(path)) is not None:
            return start, found.groupdict()
    return None


def name_subject(request: Mapping[str, Any], field: str) -> str:
    """Return the id in a field of a start's request, empty without one."""
    identifier = read_id(request.get(field)) if field else None
    return identifier if identifier is not None and JOB_ID.fullmatch(identifier) else ""


def read_started(start: StartSpec, request: Mapping[str, Any], answer: object) -> list[StartedJob]:
    """Return the jobs that a start began: those that its answer names, else the one that its request is about."""
    layers = _list_layers(answer)
    named = (_read_ids(layer.get(field)) for layer in layers for field in start.answer_fields)
    ids = next((found for found in named if found), [])
    subject = name_subject(request, start.request_field)
    if not ids and subject and any(layers):
        ids = [subject]
    persona = name_subject(request, start.persona_field)
    parent = ""
    if start.about not in ("", start.kind):
        parent = name_subject(request, start.about_field or start.request_field)
    retried = next((found for layer in layers if (found := _read_retried(start.retried, layer))), ())
    return [
        StartedJob(
            kind=start.kind,
            id=each,
            persona=persona,
            expect="new_run" if start.reruns and not retried and each == subject else "any",
            retried=retried,
            parent=parent,
        )
        for each in ids
    ]


def _list_layers(answer: object) -> list[Mapping[str, Any]]:
    """Return the objects that an answer holds, from the innermost envelope to the answer itself; none of anything else."""
    layers: list[Mapping[str, Any]] = [answer] if isinstance(answer, dict) else []
    for name in ENVELOPES:
        if layers and isinstance(layers[0].get(name), dict):
            layers.insert(0, layers[0][name])
    return layers


def _read_ids(value: object) -> list[str]:
    values = value[:MAX_JOBS] if isinstance(value, list) else [value]
    ids = [each for each in map(read_id, values) if each is not None and JOB_ID.fullmatch(each)]
    return [each for each in dict.fromkeys(ids) if each not in _WORDS]


def _read_retried(names: RetriedParts | None, answered: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if names is None:
        return ()
    entries = answered.get(names.field)
    pairs = (
        (read_id(entry.get(names.original)), read_id(entry.get(names.new)))
        for entry in (entries[:MAX_JOBS] if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    )
    return tuple((old, new) for old, new in pairs if old is not None and new is not None)
