"""How it is found out whether a start whose answer was lost was done: what it would have left at the provider."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.domain.starts.evidence import ListedObject
from bridge.providers.spec import KindSpec
from bridge.providers.status_words import read_id
from bridge.providers.timestamps import read_moment_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEvidence:
    """A start that leaves one more object in the list of its persona's jobs of `kind`.

    `source_field` is the field of a row that repeats what the request named as `Start.source`, empty where
    no field does; `created_field` holds when the object was made. `automation_path` lists what makes a persona's objects
    appear without a call, and `automatic` returns whether one of its rows does so.

    `rebuild` returns the status and body that the provider documents for an answer that names one id, None where it
    documents none.
    """

    kind: KindSpec
    source_field: str = ""
    created_field: str = "created_at"
    automation_path: str = ""
    automatic: Callable[[Mapping[str, Any]], bool] | None = None
    rebuild: Callable[[str], tuple[int, Mapping[str, Any]]] | None = None


def read_candidates(evidence: StartEvidence, rows: Iterable[Mapping[str, Any]]) -> list[ListedObject]:
    """Return the objects of a list's rows as far as they tell which start made them."""
    found = []
    for row in rows:
        identifier = read_id(row.get("id"))
        if identifier is not None:
            source = row.get(evidence.source_field) if evidence.source_field else None
            created_ms = read_moment_ms(row.get(evidence.created_field))
            found.append(ListedObject(identifier, created_ms, source if isinstance(source, str) else None))
    return found
