"""Polling: plans what the budgets of accounts give, and sends each request to its reader.

A lane is an account, a member a job's key. A claimed job is read by itself, shown by a page, or put back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bridge.services.accounts.account_health import AccountHealthRecorder, auth_refusal_for
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.accounts.rate_budget import RateBudget
from bridge.services.context import Services
from bridge.services.jobs.observe import take_held
from bridge.services.polling.duration_estimates import DurationEstimates
from bridge.services.polling.list_membership import ListMembership
from bridge.services.polling.list_poll import ListPolls, ListPollTask
from bridge.services.polling.piggyback import Piggyback
from bridge.services.polling.planner import MOST_WEIGHED, DueJob, Planner
from bridge.services.polling.single_poll import SinglePolls, SinglePollTask
from bridge.services.polling.tools import PollTools
from bridge.store.queue.lanes import Claim, Settled
from bridge.store.records import Wanted
from bridge.store.tables.account_health import AccountHealth

Task = SinglePollTask | ListPollTask


class PollHandler:
    """The pump's handler for the poll queue."""

    lease_ms = 8_000  # so soon a dead worker's jobs are read again and its places in the account are free

    def __init__(self, services: Services) -> None:
        self._services = services
        credentials = Credentials(services)
        rate_budget = self._rate_budget = RateBudget(services, credentials)
        duration_estimates = DurationEstimates(
            services.store.account_stats, scale=services.settings.poll_scale
        )
        self._health_cache = HealthCache(services.store.health)
        list_membership = ListMembership()
        self._planner = Planner(services, rate_budget, duration_estimates, list_membership)
        self._piggyback = Piggyback(services, duration_estimates, lease_ms=self.lease_ms)
        tools = PollTools(
            services=services,
            credentials=credentials,
            rate_budget=rate_budget,
            duration_estimates=duration_estimates,
            notes=AccountHealthRecorder(services, self._health_cache),
            piggyback=self._piggyback,
            list_membership=list_membership,
            lease_ms=self.lease_ms,
        )
        self._reads = SinglePolls(tools)
        self._pages = ListPolls(tools)

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Give the first lanes all they may have: a plan is as good as what it weighs."""
        del most, lanes
        return 2 * MOST_WEIGHED, 2 * MOST_WEIGHED

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Give every account a few requests in flight, and where they are scarce, many jobs to choose from."""
        del shard
        return [(lane, self._planner.cap(lane)) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        """Load a page's jobs, logs and accounts, and plan; a job without a record leaves the queue."""
        keys = [item.member for item in claim.items]
        page, health = await asyncio.gather(
            self._services.store.load_many(Wanted(jobs=keys, logs=keys)),
            self._health_cache.load_many(item.lane for item in claim.items),
        )
        due: list[DueJob] = []
        refused: list[SinglePollTask] = []
        settled: list[Settled] = []
        for item in claim.items:
            held = take_held(page, item.member, claim.token)
            if held is None:
                settled.append(Settled(item.lane, item.member, claim.token, None))
                continue
            kind = held.job.record.kind
            if auth_refusal_for(health[item.lane], kind):
                refused.append(SinglePollTask(held=held, account=item.lane, health=health[item.lane]))
            else:
                version = health[item.lane].version
                self._piggyback.notice(item.lane, kind)
                due.append(DueJob(held=held, account=item.lane, version=version, queued_ms=item.due_ms))
        tasks, waiting = await self._plan(shard, due, health) if due else ([], [])
        return [*_gather_refused(refused), *tasks], [*settled, *waiting]

    async def _plan(
        self, shard: str, due: Sequence[DueJob], health: dict[str, AccountHealth]
    ) -> tuple[list[Task], list[Settled]]:
        planned = await self._planner.plan(shard, due)
        tasks: list[Task] = []
        for granted in planned.granted:
            if granted.request.list:
                tasks.append(ListPollTask(granted=granted, health=health[granted.bucket.account]))
            else:
                job = granted.jobs[0]
                tasks.append(
                    SinglePollTask(
                        held=job.held, account=job.account, health=health[job.account], granted=granted
                    )
                )
        waiting = [
            Settled(job.account, job.held.key, job.held.token, delay_ms) for job, delay_ms in planned.waiting
        ]
        return tasks, waiting

    def give_back(self, task: Task) -> Sequence[Settled]:
        """Let another worker take the jobs now."""
        if task.granted is not None:
            self._rate_budget.give_back(task.granted.bucket, task.granted.id)
        held = (task.held, *task.followers) if isinstance(task, SinglePollTask) else task.held
        return [Settled(task.account, each.key, each.token, 0) for each in held]

    def leave(self, task: Task) -> None:
        """Nothing is counted here."""

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """A read whose lease had ended changes nothing: the job was read again by its new holder."""

    async def work(self, task: Task) -> Sequence[Settled]:
        """Read one job, or one page of a list."""
        if isinstance(task, SinglePollTask):
            return await self._reads.work(task)
        return await self._pages.work(task)


def _gather_refused(tasks: Sequence[SinglePollTask]) -> list[SinglePollTask]:
    """Put the jobs that one refusal stops behind one of them, so that a page costs one try of the key."""
    leaders: dict[tuple[str, str], SinglePollTask] = {}
    for task in tasks:
        place = (task.account, auth_refusal_for(task.health, task.held.job.record.kind))
        leader = leaders.get(place)
        leaders[place] = replace(leader, followers=(*leader.followers, task.held)) if leader else task
    return list(leaders.values())
