"""Event filters: which types a subscription asks for, as exact types, globs or bare states."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from bridge.domain.events.catalogue import Catalogue, event_type

MOST_PATTERNS = 50
NOTHING = ("none",)  # a checked filter that lets no event through: every type has a dot
_CHAIN = "chain"
_PATTERN = re.compile(r"[a-z_*]+(?:\.[a-z_*]+)?", re.ASCII)


def check_patterns(
    catalogue: Catalogue, patterns: Sequence[str], *, kind: str, once: bool
) -> tuple[str, ...]:
    """Check a filter for a callback on `kind` and spell it out; `completed` becomes the kind's `.completed`.

    Types and globs of other kinds may stand beside those that fit, so that one list serves every registration.
    Raises ValueError, fit to show, for a pattern that names nothing, for a list in which nothing fits the kind, and
    with `once` for one that no ending event can match: such a callback would close without a word.
    """
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"events takes at most {MOST_PATTERNS} entries")
    checked = tuple(dict.fromkeys(_spell(catalogue, pattern, kind) for pattern in patterns))
    if not checked:
        return ()
    types = catalogue.types
    found = _select(catalogue, checked)
    if not any(types[each].kind in catalogue.kinds_beside(kind) for each in found):
        raise ValueError(f"nothing in events can happen to a {kind}: {_name_valid(catalogue, kind)}")
    closing = catalogue.closing_types(kind)
    if once and found.isdisjoint(closing):
        endings = ", ".join(types[each].word for each in closing)
        raise ValueError(
            "events names no ending event, and with once: true (the default) nothing else is ever sent: "
            f"add one of {endings}, or set once to false"
        )
    return checked


def check_chain_patterns(
    catalogue: Catalogue, patterns: Sequence[str], *, kinds: Sequence[str]
) -> tuple[str, ...]:
    """Check a filter for a chain of jobs of some kinds, the first one's, and spell it out; its closing event always fits.

    Raises ValueError, fit to show, for a pattern that names nothing, and for a list in which nothing fits any of the kinds.
    """
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"events takes at most {MOST_PATTERNS} entries")
    checked = tuple(dict.fromkeys(_spell(catalogue, pattern, kinds[0]) for pattern in patterns))
    if not checked:
        return ()
    if not any(catalogue.types[each].kind in (*kinds, _CHAIN) for each in _select(catalogue, checked)):
        raise ValueError(f"nothing in events can happen to a {kinds[0]} and what comes of it")
    return tuple(dict.fromkeys((*checked, event_type(_CHAIN, "ended"))))


def check_every_kind(catalogue: Catalogue, patterns: Sequence[str]) -> tuple[str, ...]:
    """Check a filter for events of all kinds and spell it out: `completed` becomes `*.completed`.

    Raises ValueError, fit to show, for a pattern that names nothing.
    """
    if len(patterns) > MOST_PATTERNS:
        raise ValueError(f"events takes at most {MOST_PATTERNS} entries")
    return tuple(dict.fromkeys(_spell_for_all(catalogue, pattern) for pattern in patterns))


def _spell_for_all(catalogue: Catalogue, pattern: str) -> str:
    folded = pattern.strip().casefold()
    valid = len(folded) <= 100 and _PATTERN.fullmatch(folded)
    if valid and "." not in folded and not _select(catalogue, (folded,)):
        folded = event_type("*", folded)
    if not valid or not _select(catalogue, (folded,)):
        raise ValueError(
            f"events: {pattern[:100]!r} names no event: use types that GET /v1/event-types lists, globs such as "
            f"{next(iter(catalogue.kinds))}.* or *, and bare states such as failed"
        )
    return folded


def matches(patterns: tuple[str, ...], event_type: str, *, ending: bool) -> bool:
    """Return whether a checked filter lets an event through.

    `ending` says that the event ends the subscribed job or a part of it, such as an outgoing post's delivery. An empty
    filter lets only those through.
    """
    return _matches(patterns, event_type) if patterns else ending


@lru_cache(maxsize=4096)
def _matches(patterns: tuple[str, ...], event_type: str) -> bool:
    return any(fnmatchcase(event_type, pattern) for pattern in patterns)


@lru_cache(maxsize=1024)
def _select(catalogue: Catalogue, patterns: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        each for each in catalogue.types if any(fnmatchcase(each, pattern) for pattern in patterns)
    )


def _spell(catalogue: Catalogue, pattern: str, kind: str) -> str:
    folded = pattern.strip().casefold()
    valid = len(folded) <= 100 and _PATTERN.fullmatch(folded)
    if valid and "." not in folded and not ("*" in folded and _select(catalogue, (folded,))):
        folded = event_type(kind, folded)
    if not valid or not _select(catalogue, (folded,)):
        raise ValueError(f"events: {pattern[:100]!r} names no event: {_name_valid(catalogue, kind)}")
    return folded


def _name_valid(catalogue: Catalogue, kind: str) -> str:
    kinds = catalogue.kinds_beside(kind)
    types = ", ".join(each.type for each in catalogue.types.values() if each.kind in kinds)
    return f"valid are {types}, globs such as {kind}.* or *, and bare states such as failed"
