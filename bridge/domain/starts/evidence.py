"""Decide whether one new object must be what an uncertain start began.

A provider's list proves little: rows come late, their order is not documented, others start work too. So an object counts
only if it is the only one that can be meant, and absence never says that nothing was started.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct

from bridge.domain.starts.records import Start, StartState

BEFORE_MS = 2_000  # how much earlier than the request an object may be dated, with clocks that differ
AFTER_MS = 30_000  # how much later than the end of the wait for an answer
CHANGE_MS = 60_000  # after that wait, for which a change of what a start is about counts as its doing
MOST_NAMED = 20  # candidates in a refusal


class ListedObject(Struct, frozen=True):
    """A row of a list: an object's id, when it was made, and what it was made from; None where the row does not say.

    `linked` are the ids of other objects' parts that it holds.
    """

    id: str
    created_ms: int | None
    source: str | None
    linked: frozenset[str] = frozenset()


class Scene(Struct, frozen=True, kw_only=True):
    """What is known beside the list, in the provider's time.

    `returned` are ids that other answers have named. `rivals` are the sources of other uncertain or running starts that
    may have made the object, empty texts for those that name none. `automated`: objects appear without a call, None if
    that cannot be found out. `is_whole`: no object of the time in question can be missing.
    """

    source: str
    began_ms: int
    until_ms: int
    returned: Collection[str] = frozenset()
    rivals: Collection[str] = ()
    automated: bool | None = None
    is_whole: bool = True


class LookResult(Struct, frozen=True):
    """What a look showed: the id that must be the start's, empty if none is certain, and all that may be it."""

    certain: str
    candidates: tuple[str, ...]


def judge(candidates: Sequence[ListedObject], scene: Scene) -> LookResult:
    """Return which of a list's rows can be, and which one must be, what the start began."""
    possible = {each.id: each for each in candidates if _is_possible(each, scene)}
    named = tuple(possible)[:MOST_NAMED]
    if len(possible) != 1 or not scene.is_whole:
        return LookResult("", named)
    (only,) = possible.values()
    is_certain = only.created_ms is not None and _is_its_own(only, scene)
    return LookResult(only.id if is_certain else "", named)


def _is_its_own(only: ListedObject, scene: Scene) -> bool:
    """Whether the one object that a start can have made was made by no other and not by itself."""
    if scene.source and only.source == scene.source:
        return not {"", scene.source}.intersection(scene.rivals)
    return not scene.rivals and scene.automated is False


def may_be_confused(start: Start, other: Start) -> bool:
    """Whether what another open start of a persona began could be taken for what this one did."""
    same = (start.account, start.persona) == (other.account, other.persona)
    return same and _overlap(start, other) and not other.jobs


def is_about_same(start: Start, other: Start) -> bool:
    """Whether another open start changed what this one is about, or a part of it, or what that is a part of."""
    same = start.account == other.account and (
        other.subject in list_subjects(start) or start.subject in list_subjects(other)
    )
    return same and _overlap(start, other) and not other.jobs


def list_subjects(start: Start) -> frozenset[str]:
    """Return the ids of the object that a start is about, and of its parts before."""
    parts = start.baseline.parts if start.baseline else ()
    return frozenset(each for each in (start.subject, *(part for part, _ in parts)) if each)


def _overlap(start: Start, other: Start) -> bool:
    ends_ms = other.until_ms + AFTER_MS if other.state is not StartState.INTENT else start.until_ms
    return other.began_ms <= start.until_ms + AFTER_MS and ends_ms >= start.began_ms - BEFORE_MS


def is_in_time(at_ms: int, scene: Scene) -> bool:
    """Whether something dated so, in the provider's time, can come from the start."""
    return scene.began_ms - BEFORE_MS <= at_ms <= scene.until_ms + AFTER_MS


def _is_possible(each: ListedObject, scene: Scene) -> bool:
    if each.id in scene.returned:
        return False
    if each.source is not None and scene.source and each.source != scene.source:
        return False
    if each.created_ms is None:
        return True
    return is_in_time(each.created_ms, scene)


def covers(page: Sequence[ListedObject], *, count: int, most: int, began_ms: int, last: bool) -> bool:
    """Whether a page of a list shows all objects made since `began_ms`.

    `count` is how many objects the list says it has, 0 if it does not say, and `most` what a page can hold. A list of
    more pages does if it is sorted by time and this page, the first or the `last` one, reaches back before that moment.
    """
    if len(page) < most and count <= len(page):
        return True
    times = [each.created_ms for each in page if each.created_ms is not None]
    if len(times) < len(page) or len(set(times)) < 2 or min(times) >= began_ms - BEFORE_MS:
        return False
    return times == sorted(times, reverse=not last)
