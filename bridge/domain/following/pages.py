"""Decide what a page of a persona's posts tells: new posts, changed ones, missing ones, and which page to read next.

How the list is sorted is documented nowhere. It is taken to show the newest first until it grows without a new post on
its first page; then its end is read. Two pages overlap, because new posts shift the list between two reads.

Only one page shows what is new, so in a longer list a walk goes on beside it: once in ten sweeps it reads another page, to find
what was deleted, reviewed or run again further down.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from bridge.domain.following.marks import is_running
from bridge.domain.polling.list_pages import PAGE

OVERLAP = 20
MOST_POSTS = 500  # that are remembered of a persona, the newest
WALK_EVERY = 10  # sweeps for each page of the walk


class KnownPosts(Struct, frozen=True, array_like=True, kw_only=True):
    """What was seen of a persona's list; records are packed as arrays, so new fields go to the end with a default.

    `marks` are the newest posts, newest first. `has_baseline`: posts that it lacks are new ones. `offset` is the page to
    read next, `count` the list's length as its last answer said it. With `is_walking` that page belongs to the walk, whose next
    page is at `walk`; `turn` counts the sweeps since its last one.
    """

    marks: Mapping[str, bytes] = field(default_factory=dict)
    has_baseline: bool = False
    offset: int = 0
    count: int = 0
    oldest_first: bool = False
    turn: int = 0
    walk: int = 0
    is_walking: bool = False


class PageReading(Struct, frozen=True, kw_only=True):
    """What a page tells, all by post id: `changed` has the marks before. `more`: another page is to be read at once."""

    known: KnownPosts
    new: Sequence[str] = ()
    changed: Mapping[str, bytes] = field(default_factory=dict)
    missing: Mapping[str, bytes] = field(default_factory=dict)
    more: bool = False


def read_posts(known: KnownPosts, marks: Mapping[str, bytes], *, count: int, rows: int) -> PageReading:
    """Return what a page at `known.offset` tells; `rows` is its length, `count` the list's (0: not said)."""
    end = known.offset + rows
    # A count that equals a full page may be that of the page itself.
    has_more = rows >= PAGE and (count > end or count in (0, rows))
    total = max(count, end)
    if not known.has_baseline:
        return _read_baseline(known, marks, has_more=has_more, total=total)
    if known.is_walking:
        return _read_walk(known, marks, has_more=has_more, total=total)
    new = [post for post in marks if post not in known.marks]
    if _is_unsorted(known, new, total=total):
        start = KnownPosts(oldest_first=True, offset=max(0, total - PAGE), count=total)
        return PageReading(known=start, more=True)
    changed = {post: known.marks[post] for post, mark in marks.items() if known.marks.get(post, mark) != mark}
    missing = _find_missing(known, marks, is_whole=not known.offset and not has_more)
    more, offset = _choose_next(known, marks, new, has_more=has_more, end=end, total=total)
    after = replace(known, marks=_merge(known, marks, without=missing), offset=offset, count=total)
    if not more:
        after = _begin_walk(after)
    return PageReading(known=after, new=new, changed=changed, missing=missing, more=more or after.is_walking)


def _begin_walk(known: KnownPosts) -> KnownPosts:
    """Return what is known after a sweep; now and then another page of a longer list is then read at once."""
    if max(known.count, len(known.marks)) <= PAGE:
        return replace(known, turn=0, walk=0)
    if known.turn + 1 < WALK_EVERY:
        return replace(known, turn=known.turn + 1)
    return replace(known, turn=0, offset=known.walk, is_walking=True)


def _read_walk(known: KnownPosts, marks: Mapping[str, bytes], *, has_more: bool, total: int) -> PageReading:
    """Take a page somewhere in the list: what is not known there is older than what is, so only what runs is watched."""
    order = {post: place for place, post in enumerate(known.marks)}
    places = [order[post] for post in marks if post in order]
    span = range(min(places, default=0) + 1, max(places, default=0))
    missing = {post: mark for post, mark in known.marks.items() if post not in marks and order[post] in span}
    changed = {post: known.marks[post] for post, mark in marks.items() if known.marks.get(post, mark) != mark}
    older = [post for post in marks if post not in order]
    kept = {post: marks.get(post, mark) for post, mark in known.marks.items() if post not in missing}
    kept |= {post: marks[post] for post in older}
    after = replace(
        known,
        marks=dict(islice(kept.items(), MOST_POSTS)),
        offset=_first_offset(known, total),
        count=total,
        walk=known.offset + PAGE - OVERLAP if has_more else 0,
        is_walking=False,
    )
    new = [post for post in older if is_running(marks[post])]
    return PageReading(known=after, new=new, changed=changed, missing=missing)


def _read_baseline(
    known: KnownPosts, marks: Mapping[str, bytes], *, has_more: bool, total: int
) -> PageReading:
    """Take a page as it is; what still runs is to be watched, what has ended is not told."""
    merged = _merge(known, marks, without=())
    more = has_more and not known.oldest_first and len(merged) < MOST_POSTS
    after = replace(
        known,
        marks=merged,
        has_baseline=not more,
        offset=known.offset + PAGE - OVERLAP if more else _first_offset(known, total),
        count=total,
    )
    return PageReading(known=after, new=[post for post, mark in marks.items() if is_running(mark)], more=more)


def _is_unsorted(known: KnownPosts, new: Sequence[str], *, total: int) -> bool:
    """Return whether a list that was taken to show the newest first has grown, but not there."""
    return not (known.oldest_first or known.offset or new) and total > max(known.count, PAGE)


def _choose_next(
    known: KnownPosts, marks: Mapping[str, bytes], new: Sequence[str], *, has_more: bool, end: int, total: int
) -> tuple[bool, int]:
    """Return whether a page is to be read at once, and its offset; else that of the next sweep's first page."""
    if known.oldest_first:
        return has_more and total > end, _first_offset(known, total)
    if has_more and len(new) == len(marks) and known.offset < MOST_POSTS:
        return True, known.offset + PAGE - OVERLAP
    return False, 0


def _first_offset(known: KnownPosts, total: int) -> int:
    return max(0, total - PAGE) if known.oldest_first else 0


def _find_missing(known: KnownPosts, marks: Mapping[str, bytes], *, is_whole: bool) -> dict[str, bytes]:
    """Return the known posts that the page should show and does not: all of a whole list, else those between its rows."""
    absent: dict[str, bytes] = {}
    between: dict[str, bytes] = {}
    for post, mark in known.marks.items():
        if post not in marks:
            absent[post] = mark
        elif not known.offset and not known.oldest_first:
            between = dict(absent)
    return absent if is_whole else between


def _merge(known: KnownPosts, marks: Mapping[str, bytes], *, without: Collection[str]) -> dict[str, bytes]:
    """Return the newest posts, those of the page at its place."""
    page = list(marks.items())
    is_later = known.offset and not known.oldest_first
    shown = dict(islice(known.marks.items(), known.offset + OVERLAP)) if is_later else {}
    shown |= dict(reversed(page) if known.oldest_first else page)
    older = {post: mark for post, mark in known.marks.items() if post not in shown and post not in without}
    return dict(islice({**shown, **older}.items(), MOST_POSTS))
