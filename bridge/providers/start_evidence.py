"""What is left at the provider of work: by it a start whose answer was lost is found, and a sync that no client began."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bridge.domain.events.catalogue import ObjectEvent
from bridge.domain.events.fields import Field
from bridge.domain.starts.evidence import ListedObject
from bridge.providers.spec import JOB_ID, KindSpec
from bridge.providers.status_words import read_id
from bridge.providers.timestamps import read_moment_ms

Rebuild = Callable[[str], tuple[int, Mapping[str, Any]]]


class Trace(StrEnum):
    """What a start leaves at the provider."""

    NEW_ROW = "new_row"  # one more object in the list of its persona's jobs
    NEW_RUN = "new_run"  # another state of the object that it is about
    LINK = "link"  # one more object in the account's list of jobs, with parts of the object that it is about


SOURCE: Final = "source"
SYNCED: Final = f"{SOURCE}.synced"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEvidence:
    """What a start that began a job of `kind` leaves, by its `trace`.

    In rows, `source_field` is the field that repeats what the request named as `Start.source`, empty where
    no field does, and `created_field` holds when the object was made. `automation_path` lists what makes a persona's objects
    appear without a call, and `automatic` returns whether one of its rows does so. `linked` returns the ids of the parts
    that a row was made of.

    `rebuild` returns the status and body that the provider documents for an answer that names one id, None where it
    documents none.
    """

    kind: KindSpec
    trace: Trace = Trace.NEW_ROW
    source_field: str = ""
    created_field: str = "created_at"
    automation_path: str = ""
    automatic: Callable[[Mapping[str, Any]], bool] | None = None
    linked: Callable[[Mapping[str, Any]], frozenset[str]] | None = None
    rebuild: Rebuild | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeList:
    """A list of an account's debits, which a key may not be allowed to read, and how its rows name what was charged."""

    path: str
    id_fields: tuple[str, ...]
    amount_field: str
    created_field: str = "created_at"

    def read(self, rows: Iterable[Mapping[str, Any]]) -> list[tuple[frozenset[str], int]]:
        """Return the ids that each debit names, and when it was made (Unix milliseconds)."""
        found = []
        for row in rows:
            ids = frozenset(each for name in self.id_fields if (each := read_id(row.get(name))) is not None)
            amount, created_ms = row.get(self.amount_field), read_moment_ms(row.get(self.created_field))
            if ids and created_ms is not None and isinstance(amount, int | float) and amount < 0:
                found.append((ids, created_ms))
        return found


def read_candidates(evidence: StartEvidence, rows: Iterable[Mapping[str, Any]]) -> list[ListedObject]:
    """Return the objects of a list's rows as far as they tell which start made them."""
    found = []
    for row in rows:
        identifier = read_id(row.get("id"))
        if identifier is not None:
            source = row.get(evidence.source_field) if evidence.source_field else None
            created_ms = read_moment_ms(row.get(evidence.created_field))
            linked = evidence.linked(row) if evidence.linked is not None else frozenset[str]()
            found.append(
                ListedObject(identifier, created_ms, source if isinstance(source, str) else None, linked)
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceList:
    """The list at `path`, whose rows say in `synced_field` when each source was last synced, by a job of kind `synced_by`.

    `fields` are the documented fields of a row, `sample` an invented one of the persona `persona`, which an event names in
    its `persona_field`.
    """

    path: str
    synced_field: str
    synced_by: str
    persona_field: str
    fields: tuple[Field, ...]
    sample: Mapping[str, Any]
    persona: str

    def path_for(self, persona: str) -> str:
        """Return the path of a persona's list, empty for an id that no path may carry."""
        return self.path.replace("{persona}", persona) if JOB_ID.fullmatch(persona) else ""

    @property
    def event(self) -> ObjectEvent:
        """The event that a source was synced."""
        return ObjectEvent(
            type=SYNCED,
            summary="A source of a followed persona was synced, and no sync job that the bridge knows did it.",
            fields=self.fields,
            data=self.sample,
            related={self.persona_field: self.persona},
        )
