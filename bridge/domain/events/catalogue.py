"""The catalogue of event types: what each one says, and which of them end a job.

It is built from what the providers state about their kinds of jobs, and from the bridge's own events.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bridge.domain.events.fields import Field
from bridge.domain.observation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type, `kind.word`. `outcome` is None on progress and notices.

    `service` marks the bridge's own events, which are about no watched job.
    """

    type: str
    kind: str
    word: str
    ending: bool
    outcome: Outcome | None
    summary: str
    service: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSample:
    """An invented job of a kind, for the samples of its events.

    `build` returns its object as the provider shows it in a state: the word of an event, or `running`, the provider's
    own word for a job that has not ended. `messages` are the reasons of endings, by their word.
    """

    id: str
    build: Callable[[str], dict[str, Any]]
    running: str
    related: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KindEvents:
    """What there is to say about the events of one kind of job.

    `noun` is the kind in a sentence. `endings` and `progress` map the last word of an event type to what it means;
    those that every kind has are added to them. `fields` are the documented fields of the object, `related` the ids
    that it may name. `state_fields` are kept of an object that is too large for an event. `parts_field` lists the
    job's parts, `part` is their kind; with `reports_parts` the end of each is an event of its own, in whose `related`
    the part's `parent_field` names the job. `has_download` says that a job that succeeded has a file to fetch.
    """

    kind: str
    noun: str
    endings: Mapping[str, tuple[Outcome, str]]
    progress: Mapping[str, str]
    fields: tuple[Field, ...]
    sample: KindSample
    related: tuple[str, ...] = ()
    status_field: str = "status"
    state_fields: tuple[str, ...] = ()
    parts_field: str = ""
    part: str = ""
    reports_parts: bool = False
    parent_field: str = ""
    has_download: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectEvent:
    """An event that is about no watched job, with the object of its sample.

    `outcome` is the sample's, as `error` and `counts` (its summary) are where `data` does not lead to them.
    `parts_field` lists other jobs in `data`, `part` is their kind.
    """

    type: str
    summary: str
    fields: tuple[Field, ...]
    data: Mapping[str, Any]
    related: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    parts_field: str = ""
    part: str = ""
    error: Mapping[str, Any] | None = None
    counts: Mapping[str, int] | None = None

    @property
    def kind(self) -> str:
        """The kind of object, the first word of its type."""
        return self.type.partition(".")[0]


EVERY_ENDING: Mapping[str, tuple[Outcome, str]] = MappingProxyType(
    {
        "deleted": (Outcome.DELETED, "The {noun} was there and is gone, confirmed by a second read."),
        # A job that was never seen may exist elsewhere, so this claims no more than `timed_out` does.
        "not_found": (Outcome.UNKNOWN, "The {noun} was never seen: the provider still knows no such id."),
        "timed_out": (
            Outcome.UNKNOWN,
            "The {noun} showed no ending in time; it has not failed, it may yet end.",
        ),
    }
)
_UNAUTHORIZED = "The provider refuses the account's key: the {noun} is watched again once the key works."


class Catalogue:
    """Every type of event, by its name, with what is needed to write it, describe it and show a sample of it."""

    def __init__(self, kinds: Iterable[KindEvents], objects: Iterable[ObjectEvent]) -> None:
        """Build the catalogue in the order of the kinds, then of the other objects."""
        self.kinds: Mapping[str, KindEvents] = MappingProxyType({each.kind: each for each in kinds})
        self.objects: Mapping[str, ObjectEvent] = MappingProxyType({each.type: each for each in objects})
        listed = (*self._list_job_events(), *self._list_object_events())
        self.types: Mapping[str, EventType] = MappingProxyType({each.type: each for each in listed})
        self.fields: Mapping[str, tuple[Field, ...]] = MappingProxyType(
            {each.kind: each.fields for each in self.kinds.values()}
            | {each.kind: each.fields for each in self.objects.values()}
        )
        every = self.kinds.values()
        self.related = tuple(dict.fromkeys(name for each in every for name in each.related))
        self.state_fields = frozenset(name for each in every for name in each.state_fields) | {"id", "status"}
        listed_fields = (field for each in self.objects.values() for field in each.fields if field.parts)
        own = (each.parts_field for each in every if each.parts_field)
        self.part_lists = tuple(dict.fromkeys((*own, *(field.name for field in listed_fields))))
        # kind of a part whose end is an event of its own -> the kind of job that it is a part of
        self.wholes: Mapping[str, KindEvents] = MappingProxyType(
            {each.part: each for each in every if each.reports_parts}
        )

    def kinds_beside(self, kind: str) -> tuple[str, ...]:
        """Return the kinds whose events a callback for a job of this kind may ask for: its own, and its parts'."""
        own = self.kinds.get(kind)
        return (kind, own.part) if own is not None and own.reports_parts else (kind,)

    def closing_types(self, kind: str) -> tuple[str, ...]:
        """Return the types that close a callback with `once` on a job of this kind, or on a group."""
        own = (each for each in self.types.values() if each.kind == kind)
        return tuple(each.type for each in own if each.ending or each.service)

    def has_download(self, type_: str) -> bool:
        """Return whether the job that an event is about has a file to download."""
        known = self.types.get(type_)
        if known is None or known.service:
            return False
        return known.outcome is Outcome.SUCCEEDED and self.kinds[known.kind].has_download

    def _list_job_events(self) -> Iterator[EventType]:
        for events in self.kinds.values():
            for word, (outcome, summary) in {**events.endings, **EVERY_ENDING}.items():
                yield _job_event(events, word, summary, ending=True, outcome=outcome)
            for word, summary in {**events.progress, "unauthorized": _UNAUTHORIZED}.items():
                yield _job_event(events, word, summary, ending=False, outcome=None)

    def _list_object_events(self) -> Iterator[EventType]:
        for name, each in self.objects.items():
            yield EventType(
                type=name,
                kind=each.kind,
                word=name.partition(".")[2],
                ending=False,
                outcome=None,
                summary=each.summary,
                service=True,
            )


def event_type(kind: str, word: str) -> str:
    """Return the type of a kind's event: the kind, a dot, the word."""
    return f"{kind}.{word}"


def _job_event(
    events: KindEvents, word: str, summary: str, *, ending: bool, outcome: Outcome | None
) -> EventType:
    return EventType(
        type=event_type(events.kind, word),
        kind=events.kind,
        word=word,
        ending=ending,
        outcome=outcome,
        summary=summary.format(noun=events.noun),
    )
