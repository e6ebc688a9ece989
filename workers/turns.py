"""Put deliveries to different origins in turns."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from operator import itemgetter
from typing import TypeVar

from bridge.domain.deliveries.lanes import read_origin
from workers.handler import Place

T = TypeVar("T")
BY_TIME_SHARE = 8  # one visit in so many goes by time, as far as lanes of crowded origins are due


def in_turns(items: Sequence[T], lane_of: Callable[[T], str]) -> list[T]:
    """Return the items so that one for each origin, of each project, comes before a second one for any.

    What many URLs of one origin wait for would otherwise come before all others, and an origin has few slots. And what
    goes to many origins in turns is sent over connections that are still open.
    """
    seen: dict[str, int] = defaultdict(int)
    turns = []
    for item in items:
        origin = " ".join(lane_of(item).split(" ", 2)[:2])  # with its project
        turns.append(seen[origin])
        seen[origin] += 1
    return [items[number] for number in sorted(range(len(items)), key=turns.__getitem__)]


def order_visits(due: Sequence[Place], crowded: Collection[str], most: int) -> list[Place]:
    """Return at most so many of the due lanes, earliest first: from all origins in turns.

    Of a crowded origin, which has no slot for some of its lanes, those are visited first that came due last: it has slots
    for the ones whose turn it is, and they are due only since then. Before all others some lanes of such origins are
    visited that are due for longest, so that each one gets a place in the turns.
    """
    if not crowded:
        return in_turns(due, itemgetter(1))[:most]
    of_crowded = [place for place in due if read_origin(place[1]) in crowded]
    by_time = in_turns(of_crowded, itemgetter(1))[: most // BY_TIME_SHARE]
    turns = in_turns(_newest_first(due, crowded), itemgetter(1))
    return list(islice(dict.fromkeys([*by_time, *turns]), most))


def _newest_first(due: Sequence[Place], crowded: Collection[str]) -> list[Place]:
    """Reverse the order of each crowded origin's lanes; the origin keeps its positions in the list."""
    lanes: dict[str, list[Place]] = {origin: [] for origin in crowded}
    for place in due:
        if (origin := read_origin(place[1])) in lanes:
            lanes[origin].append(place)
    return [lanes[origin].pop() if (origin := read_origin(place[1])) in lanes else place for place in due]
