"""The fields of requests that name jobs: tables made of what each kind of job states about its names."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from bridge.providers.spec import KindSpec

MANY_IDS = "job_ids"
ONE_ID = "job_id"
BARE_FIELDS = (MANY_IDS, ONE_ID)

Value = TypeVar("Value")


class RequestFields:
    """What a registration may call the jobs of some kinds, in the words of their providers' answers.

    `kinds` maps each field to the kind that it stands for when the request has no `kind`; `own` maps each kind that
    can be registered to its fields, and `documented` to the one field of them that the API documents. A provider's
    object has an `id` and one of the lists in `shapes`, which shows its kind; in the fields of `relatives` such an
    object names related objects, which are not a second job of the request.
    """

    def __init__(self, kinds: Iterable[KindSpec]) -> None:
        """Build the tables; raise ValueError if two kinds claim the same field."""
        listed = tuple(kinds)
        registrable = [kind for kind in listed if kind.registrable]
        self.own: Mapping[str, tuple[str, ...]] = _freeze(
            (kind.name, kind.names.fields) for kind in registrable
        )
        self.kinds: Mapping[str, str] = _index(_claims(registrable))
        self.documented: Mapping[str, str] = _freeze(
            (kind.name, kind.names.fields[-1])
            for kind in registrable
            if kind.names.fields and not kind.names.needs_kind
        )
        self.shapes: Mapping[str, str] = _index(
            (kind.names.shape, kind) for kind in listed if kind.names.shape
        )
        self.relatives: Mapping[str, frozenset[str]] = _freeze(
            (kind.name, kind.names.relatives | frozenset(kind.names.fields)) for kind in registrable
        )
        self.retried_lists = _unique(kind.names.retried.field for kind in listed if kind.names.retried)
        self.envelopes = _unique(name for kind in listed for name in kind.envelopes)
        self.persona_fields = _unique(kind.persona_field for kind in listed)
        self.media_fields = _unique(kind.media_field or "" for kind in listed)
        self.media_types = frozenset(media for kind in listed for media in kind.timing_by_media)
        self.media_lists = (
            *_unique(kind.parts_field or "" for kind in listed if kind.part and kind.part.media_field),
            *self.retried_lists,
        )
        # Lists and objects, which a form or a query can only hold as JSON text.
        self.objects = frozenset({*self.envelopes, *self.shapes, *self.retried_lists, MANY_IDS})
        self.job_words = frozenset(
            {*self.kinds, *self.shapes, *self.retried_lists, *BARE_FIELDS, "id", "kind"}
        )
        self.bare_noun = next((kind.noun for kind in listed if kind.names.takes_bare_ids), "job")
        self.unregistrable: Mapping[str, str] = _freeze(
            (kind.name, _explain_part(kind, listed)) for kind in listed if not kind.registrable
        )
        self.described: Mapping[str, str] = _freeze(
            (kind.names.fields[-1], _describe(kind)) for kind in registrable if kind.name in self.documented
        )


def say_noun(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"{'an' if noun[:1].casefold() in 'aeiou' else 'a'} {noun}"


def _claims(kinds: Iterable[KindSpec]) -> Iterator[tuple[str, KindSpec]]:
    for kind in kinds:
        if kind.names.takes_bare_ids:
            yield from ((field, kind) for field in BARE_FIELDS)
        if not kind.names.needs_kind:
            yield from ((field, kind) for field in kind.names.fields)


def _index(claims: Iterable[tuple[str, KindSpec]]) -> Mapping[str, str]:
    claimed: dict[str, str] = {}
    for field, kind in claims:
        if field in claimed:
            raise ValueError(f"{claimed[field]} and {kind.name} claim the same field of a request: {field}")
        claimed[field] = kind.name
    return MappingProxyType(claimed)


def _describe(kind: KindSpec) -> str:
    """Return what a field means, empty where its name says it."""
    return "" if kind.names.fields[-1] == f"{kind.name}_id" else say_noun(kind.noun)


def _explain_part(kind: KindSpec, kinds: Iterable[KindSpec]) -> str:
    """Return how to get the events of a kind that is not registered by itself."""
    whole = next((each for each in kinds if each.part is kind and each.parts_are_reported), None)
    how = ""
    if whole is not None:
        field = whole.names.fields[-1]
        how = (
            f": register its {whole.noun} ({field}) with once: false, and with events: "
            f'["{kind.name}.*"] where only its {whole.parts_field} count'
        )
    return f"{say_noun(kind.name)} is not registered by itself{how}"


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _freeze(pairs: Iterable[tuple[str, Value]]) -> Mapping[str, Value]:
    return MappingProxyType(dict(pairs))
