"""Which pages of a persona's list show its watched posts.

How a list is sorted is documented nowhere, and new posts shift it between two reads: so places are remembered from the
last read, pages overlap, and a post that is not where it should be is looked for at the list's other end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct, field

PAGE = 100  # rows, the `limit` that is asked for
OVERLAP = 2
MAX_MISSES = 6  # pages on which a post is looked for before it is read by itself


class ListStats(Struct, frozen=True, kw_only=True):
    """What reads of one list have shown; the names of the fields are part of what is stored.

    `places` are row numbers by post id, `count` is the length of the list as the upstream says it, `read_ms` the time of
    the last read. `missed` are the offsets at which a post without a place was looked for in vain. `useless_ms` is when
    the list last did not serve (an undocumented list that is not there, a persona that was mistyped), 0: it serves.
    """

    read_ms: int = 0
    count: int = 0
    places: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    useless_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page from `offset`, and the keys of the watched posts it should show."""

    offset: int
    covers: tuple[str, ...]


def plan_pages(posts: Mapping[str, str], seen: ListStats | None) -> list[PageRequest]:
    """Cover watched posts (keys by id) with as few pages as their places allow; posts looked for in vain are left out."""
    seen = seen or ListStats()
    placed: dict[int, list[str]] = {}
    for post, key in posts.items():
        place = _guess(post, seen)
        if place is not None:
            placed.setdefault(place, []).append(key)
    pages: list[PageRequest] = []
    left = sorted(placed)
    while left:
        offset = max(0, left[0] - OVERLAP) if left[0] >= PAGE - OVERLAP else 0
        last = offset + PAGE - 1 - OVERLAP
        inside = [place for place in left if place <= last]
        left = left[len(inside) :]
        covers = tuple(key for place in inside for key in placed[place])
        pages.append(PageRequest(offset=offset, covers=covers))
    return pages


def note_page(
    seen: ListStats | None,
    *,
    offset: int,
    ids: Sequence[str],
    count: int,
    looked_for: Collection[str],
    watched: Collection[str],
    now_ms: int,
) -> ListStats:
    """Remember where a page showed its rows, how far the list has shifted, and what was looked for in vain."""
    seen = seen or ListStats()
    here = {post: offset + row for row, post in enumerate(ids)}
    shift = _shift(seen.places, here)
    kept = set(watched)
    places = {post: max(0, place + shift) for post, place in seen.places.items() if post in kept}
    missed = {post: tried for post, tried in seen.missed.items() if post in kept and post not in here}
    for post in looked_for:
        if post in kept and post not in here:
            places.pop(post, None)
            missed[post] = (*missed.get(post, ()), offset)
    places.update((post, place) for post, place in here.items() if post in kept)
    return ListStats(read_ms=now_ms, count=max(count, offset + len(ids)), places=places, missed=missed)


def _shift(before: Mapping[str, int], here: Mapping[str, int]) -> int:
    """Return how far known posts have moved: the median, because deletions move only some."""
    moved = sorted(place - before[post] for post, place in here.items() if post in before)
    return moved[len(moved) // 2] if moved else 0


def _guess(post: str, seen: ListStats) -> int | None:
    """Return where a post should be: its last place, else the list's start, then its end, then page by page between.

    None once it was looked for often enough.
    """
    place = seen.places.get(post)
    if place is not None:
        return place
    tried = len(seen.missed.get(post, ()))
    tail = max(0, seen.count - 1)
    if tried == 0 or tail < PAGE:
        return 0 if tried == 0 else None
    if tried == 1:
        return tail
    between = (tried - 1) * PAGE
    return between if between < tail and tried <= MAX_MISSES else None
