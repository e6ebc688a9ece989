"""What a pump is handed: how the items of its queue are loaded and worked on."""

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from bridge.store.queue.lanes import Claim, Settled

Task = TypeVar("Task")
Place = tuple[str, str]  # shard and lane


class Handler(Protocol[Task]):
    """What a pump does with items: how to load a claimed page, and how to work on one item of it."""

    lease_ms: int
    loads_at_once: int  # pages, of different lanes; the next page is claimed while others are loaded
    handed_at_once: int  # tasks that slots are given in one turn of the event loop
    lanes_seen: int  # the most lanes of a shard that are looked at while all of them are due

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Return the maximum of items for a claim over `lanes` lanes, and for one lane; the pump proposes `most`."""

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Return lanes, each with the number of its items that may be in flight; leave out those to skip."""

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        """Load a page's records; return the tasks, and what is to be settled without work."""

    def work(self, task: Task) -> Coroutine[Any, Any, Sequence[Settled]]:
        """Work on a task; return what is to be settled."""

    def give_back(self, task: Task) -> Sequence[Settled]:
        """Return what settles a task that was not begun, so that another worker may take its items now."""

    def choose(self, due: Sequence[Place]) -> Sequence[Place]:
        """Return the lanes to visit now: of those that are due, earliest first, and of those that a claim put off."""

    def leave(self, task: Task) -> bool:
        """Remove a task that was worked on or given back from any counts; return whether there is room for lanes put off."""

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """Handle results that were not written, because their lease had ended."""
