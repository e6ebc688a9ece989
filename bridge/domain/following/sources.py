"""Which of a persona's sources were synced since its list was read before."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

MOST_SOURCES: Final = 100  # of a persona: one page of its list

Synced = tuple[tuple[str, str], ...]  # (source, when it was last synced, as the provider writes it)


class SourceReading(Struct, frozen=True, kw_only=True):
    """What is known of a persona's sources after a read, and those that were synced."""

    known: Synced
    moved: Sequence[str] = ()


def read_sources(
    known: Synced | None, shown: Mapping[str, str], *, moments: Mapping[str, int | None], settled_ms: int
) -> SourceReading:
    """Return what a list tells; `known` is None at the first read, which is a baseline, as it is for a new source.

    A sync that ended after `settled_ms`, by `moments`, is left for the next read: the job that did it may not have been
    seen to end yet.
    """
    before = dict(known or ())
    after = dict(before)
    moved: list[str] = []
    for source, synced in list(shown.items())[:MOST_SOURCES]:
        at_ms = moments.get(source)
        if source not in before:
            after[source] = synced
        elif synced not in ("", before[source]) and (at_ms is None or at_ms <= settled_ms):
            after[source] = synced
            moved.append(source)
    return SourceReading(known=tuple((each, after[each]) for each in after if each in shown), moved=moved)
