"""The pump's handler for the poll queue: a lane is an account, an item a job's key or the sweeps of a followed persona."""

from collections.abc import Coroutine, Sequence
from typing import Any

from bridge.services.context import Services
from bridge.services.following.turns import PollTurns, Turn
from bridge.services.polling.planner import MAX_CANDIDATES
from bridge.services.polling.poller import Poller
from bridge.store.queue.lanes import Claim, Settled
from workers.feeder import PAGE
from workers.handler import Place

Task = Turn


class PollHandler:
    """The handler of the poll queue, which uses a `Poller`."""

    lease_ms = 8_000  # after so long a dead worker's jobs are polled again
    loads_at_once = 2
    handed_at_once = 2 * MAX_CANDIDATES  # a whole page: ends that are read in one turn are written together
    lanes_seen = PAGE

    def __init__(self, services: Services) -> None:
        self._poller = Poller(services, lease_ms=self.lease_ms)
        self._turns = PollTurns(services, self._poller, lease_ms=self.lease_ms)

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Return a fixed maximum, so that a plan compares as many jobs of an account as it can."""
        del most, lanes
        return 2 * MAX_CANDIDATES, 2 * MAX_CANDIDATES

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Return each account with the number of its jobs that may be claimed: more while it is behind."""
        del shard
        return [(lane, self._poller.max_claimed(lane)) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        """Plan requests for a page of jobs; the jobs that get none are settled at once."""
        return await self._turns.plan(shard, claim)

    def work(self, task: Task) -> Coroutine[Any, Any, Sequence[Settled]]:
        """Poll one job, or a page of a list; return what is not settled yet."""
        return self._turns.poll(task)

    def give_back(self, task: Task) -> Sequence[Settled]:
        """Let another worker take the jobs of a task that was not begun."""
        return self._turns.give_back(task)

    def leave(self, task: Task) -> bool:
        """Return False, since no tasks are counted."""
        del task
        return False

    def choose(self, due: Sequence[Place]) -> Sequence[Place]:
        """Visit all of them."""
        return due

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """Do nothing, since a job whose lease had ended is polled again by another worker."""
