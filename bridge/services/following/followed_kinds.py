"""Which kind of job a provider lists by persona, and the words that its marks stand for."""

from functools import cache

from bridge.domain.following.marks import MarkWords
from bridge.providers.registry import KINDS
from bridge.providers.spec import KindSpec, ListSpec


@cache
def followed_kind(provider: str) -> KindSpec | None:
    """Return the kind whose jobs a provider lists by persona, None where it has no such list."""
    return next(
        (kind for kind in KINDS.values() if kind.provider == provider and kind.list and kind.list.personas),
        None,
    )


def persona_list(kind: KindSpec) -> ListSpec:
    """Return the list of a followed kind."""
    assert kind.list is not None, "a followed kind has one"
    return kind.list


@cache
def mark_words(kind: str) -> MarkWords:
    """Return the words that the marks of a kind stand for."""
    spec = KINDS[kind]
    return MarkWords(endings=sorted(spec.ending_words), reviews=sorted(spec.review_words))
