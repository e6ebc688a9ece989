"""Polling: plans what the budgets of accounts give, and sends each request to its reader.

A lane is an account, a member a job's key. A claimed job is read by itself, shown by a page, or put back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bridge.services.accounts.account_health import AccountNotes, outage_for
from bridge.services.accounts.credentials import Logins
from bridge.services.accounts.health_cache import Wellness
from bridge.services.accounts.rate_budget import Spending
from bridge.services.context import Services
from bridge.services.jobs.observe import take_held
from bridge.services.polling.duration_estimates import Evidence
from bridge.services.polling.list_membership import Neighbours
from bridge.services.polling.list_poll import PageReads, PageTask
from bridge.services.polling.piggyback import Riding
from bridge.services.polling.planner import MOST_WEIGHED, DueJob, Planning
from bridge.services.polling.single_poll import ReadTask, SingleReads
from bridge.services.polling.tools import PollTools
from bridge.store.queue.lanes import Claim, Settled
from bridge.store.records import Wanted
from bridge.store.tables.account_health import AccountHealth

LEAST_SLEEP_MS = 50  # a shorter wait is not worth a gate: what was put back waits by itself

Task = ReadTask | PageTask


class Polling:
    """The pump's handler for the poll queue."""

    lease_ms = 8_000  # so soon a dead worker's jobs are read again and its places in the account are free

    def __init__(self, services: Services) -> None:
        self._services = services
        logins = Logins(services)
        spending = self._spending = Spending(services, logins)
        evidence = Evidence(services.store.learnt, scale=services.settings.poll_scale)
        self._wellness = Wellness(services.store.health)
        neighbours = Neighbours()
        self._planning = Planning(services, spending, evidence, neighbours)
        self._riding = Riding(services, evidence, lease_ms=self.lease_ms)
        tools = PollTools(
            services=services,
            logins=logins,
            spending=spending,
            evidence=evidence,
            notes=AccountNotes(services, self._wellness),
            riding=self._riding,
            neighbours=neighbours,
            lease_ms=self.lease_ms,
        )
        self._reads = SingleReads(tools)
        self._pages = PageReads(tools)

    def share_claim(self, most: int, lanes: int) -> tuple[int, int]:
        """Give the first lanes all they may have: a plan is as good as what it weighs."""
        del most, lanes
        return 2 * MOST_WEIGHED, 2 * MOST_WEIGHED

    async def cap_lanes(self, shard: str, lanes: Sequence[str]) -> list[tuple[str, int]]:
        """Give every account a few requests in flight, and where they are scarce, many jobs to choose from."""
        del shard
        return [(lane, self._planning.cap(lane)) for lane in lanes]

    async def load(self, shard: str, claim: Claim) -> tuple[list[Task], list[Settled]]:
        """Load a page's jobs, logs and accounts, and plan; a job without a record leaves the queue."""
        keys = [item.member for item in claim.items]
        page, health = await asyncio.gather(
            self._services.store.load_many(Wanted(jobs=keys, logs=keys)),
            self._wellness.load_many(item.lane for item in claim.items),
        )
        due: list[DueJob] = []
        refused: list[ReadTask] = []
        settled: list[Settled] = []
        for item in claim.items:
            held = take_held(page, item.member, claim.token)
            if held is None:
                settled.append(Settled(item.lane, item.member, claim.token, None))
                continue
            kind = held.job.record.kind
            if outage_for(health[item.lane], kind):
                refused.append(ReadTask(held=held, account=item.lane, health=health[item.lane]))
            else:
                version = health[item.lane].version
                self._riding.notice(item.lane, kind)
                due.append(DueJob(held=held, account=item.lane, version=version, queued_ms=item.due_ms))
        tasks, waiting = await self._plan(shard, due, health) if due else ([], [])
        return [*_gather_refused(refused), *tasks], [*settled, *waiting]

    async def _plan(
        self, shard: str, due: Sequence[DueJob], health: dict[str, AccountHealth]
    ) -> tuple[list[Task], list[Settled]]:
        planned = await self._planning.plan(shard, due)
        sleeping = {lane: for_ms for lane, for_ms in planned.sleeping.items() if for_ms >= LEAST_SLEEP_MS}
        await self._services.store.poll.block_many(shard, sleeping)
        tasks: list[Task] = []
        for granted in planned.granted:
            if granted.request.list:
                tasks.append(PageTask(granted=granted, health=health[granted.purse.account]))
            else:
                job = granted.jobs[0]
                tasks.append(
                    ReadTask(held=job.held, account=job.account, health=health[job.account], granted=granted)
                )
        waiting = [
            Settled(job.account, job.held.key, job.held.token, delay_ms) for job, delay_ms in planned.waiting
        ]
        return tasks, waiting

    def give_back(self, task: Task) -> Sequence[Settled]:
        """Let another worker take the jobs now."""
        if task.granted is not None:
            self._spending.give_back(task.granted.purse, task.granted.id)
        held = (task.held, *task.followers) if isinstance(task, ReadTask) else task.held
        return [Settled(task.account, each.key, each.token, 0) for each in held]

    def leave(self, task: Task) -> None:
        """Nothing is counted here."""

    async def take_fenced(self, shard: str, fenced: Sequence[Settled]) -> None:
        """A read whose lease had ended changes nothing: the job was read again by its new holder."""

    async def work(self, task: Task) -> Sequence[Settled]:
        """Read one job, or one page of a list."""
        if isinstance(task, ReadTask):
            return await self._reads.work(task)
        return await self._pages.work(task)


def _gather_refused(tasks: Sequence[ReadTask]) -> list[ReadTask]:
    """Put the jobs that one refusal stops behind one of them, so that a page costs one try of the key."""
    leaders: dict[tuple[str, str], ReadTask] = {}
    for task in tasks:
        place = (task.account, outage_for(task.health, task.held.job.record.kind))
        leader = leaders.get(place)
        leaders[place] = replace(leader, followers=(*leader.followers, task.held)) if leader else task
    return list(leaders.values())
