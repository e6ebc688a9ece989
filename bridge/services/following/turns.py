"""The turns of an account's poll lane: polls of jobs, and sweeps of followed personas."""

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from bridge.domain.following.records import read_sweep_member
from bridge.services.accounts.credentials import Credentials
from bridge.services.context import Services
from bridge.services.following.sweep_plan import SweepPlanner, SweepTask
from bridge.services.following.sweeps import Sweeper
from bridge.services.polling.poller import Poller, PollTask
from bridge.store.queue.lanes import Claim, Item, Settled

Turn = PollTask | SweepTask


class PollTurns:
    """Plans and takes the turns of one worker."""

    def __init__(self, services: Services, poller: Poller, *, lease_ms: int) -> None:
        """Take what polls jobs, whose budgets and health the sweeps share."""
        self._poller = poller
        credentials = Credentials(services)
        self._planner = SweepPlanner(
            services,
            rate_budget=poller.rate_budget,
            health_cache=poller.health_cache,
            credentials=credentials,
        )
        self._sweeper = Sweeper(
            services,
            rate_budget=poller.rate_budget,
            health_cache=poller.health_cache,
            credentials=credentials,
            durations=services.durations,
            lease_ms=lease_ms,
        )

    async def plan(self, shard: str, claim: Claim) -> tuple[list[Turn], list[Settled]]:
        """Plan requests for what was claimed; return the requests, and what is to be settled without one."""
        sweeps = tuple(item for item in claim.items if read_sweep_member(item.member) is not None)
        if not sweeps:
            polls, waiting = await self._poller.plan(shard, claim)
            return [*polls], waiting
        return await self._plan_mixed(shard, claim, sweeps)

    async def _plan_mixed(
        self, shard: str, claim: Claim, sweeps: Sequence[Item]
    ) -> tuple[list[Turn], list[Settled]]:
        """Plan the sweeps that are kept free, then the jobs, then the other sweeps where no job waits."""
        due, settled = await self._planner.load(replace(claim, items=tuple(sweeps)))
        kept = self._planner.choose_kept(due)
        taken, put_back = await self._planner.plan(kept)
        tasks: list[Turn] = [*taken]
        settled += put_back
        if jobs := tuple(item for item in claim.items if item not in sweeps):
            polls, waiting = await self._poller.plan(shard, replace(claim, items=jobs))
            tasks += polls
            settled += waiting
        left = [each for each in due if each not in kept]
        behind = [each for each in left if self._poller.is_behind(each.item.lane)]
        settled += self._planner.put_off(behind)
        taken, put_back = await self._planner.plan([each for each in left if each not in behind])
        return [*tasks, *taken], settled + put_back

    def poll(self, turn: Turn) -> Coroutine[Any, Any, Sequence[Settled]]:
        """Take a turn; return what is not settled yet."""
        return self._sweeper.sweep(turn) if isinstance(turn, SweepTask) else self._poller.poll(turn)

    def give_back(self, turn: Turn) -> Sequence[Settled]:
        """Let another worker take a turn that was not begun."""
        if isinstance(turn, SweepTask):
            return self._planner.give_back(turn)
        return self._poller.give_back(turn)
