"""Put deliveries to different origins in turns."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


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
