"""Poll the jobs that a worker has claimed: plan requests for them, send each, apply its answer."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from bridge.domain.jobs.watches import GROUPS
from bridge.services.accounts.account_health import AccountHealthRecorder, auth_refusal_for
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.accounts.rate_budget import RateBudget
from bridge.services.context import Services
from bridge.services.groups.group_turn import GroupTask, take_group_turn
from bridge.services.jobs.observe import take_held
from bridge.services.polling.account_reader import AccountReader
from bridge.services.polling.list_membership import ListMembership
from bridge.services.polling.list_poll import ListPolls, ListPollTask
from bridge.services.polling.piggyback import Piggyback
from bridge.services.polling.planner import Planner
from bridge.services.polling.poll_requests import DueJob, GrantedRequest
from bridge.services.polling.single_poll import SinglePolls, SinglePollTask
from bridge.services.polling.slow_reads import SlowReads
from bridge.store.queue.lanes import Claim, Settled
from bridge.store.recent import Recent
from bridge.store.records import UNREADABLE_RETRY_MS, Wanted
from bridge.store.tables.account_health import AccountHealth

WORKERS_KNOWN_S = 5.0  # as often as each worker shows that it is alive
PollTask = SinglePollTask | ListPollTask | GroupTask


class Poller:
    """Plans and polls for one worker. A claimed job is read by itself, or with a page of a list, or put back."""

    def __init__(self, services: Services, *, lease_ms: int) -> None:
        """Take the duration of the leases of claimed jobs."""
        self._services = services
        credentials = Credentials(services)
        self.rate_budget = self._rate_budget = RateBudget(services, credentials)
        self.health_cache = self._health_cache = HealthCache(services.store.health)
        durations = services.durations
        list_membership = ListMembership()
        self._planner = Planner(services, self._rate_budget, durations, list_membership)
        self._piggyback = Piggyback(services, durations, lease_ms=lease_ms)
        reader = AccountReader(services, credentials, lease_ms=lease_ms)
        self._slow_reads = SlowReads(is_silent=self._rate_budget.is_silent)
        self._workers = Recent(self._count_workers, max_age_s=WORKERS_KNOWN_S)
        health_recorder = AccountHealthRecorder(services, self._health_cache)
        self._single_polls = SinglePolls(
            services,
            reader=reader,
            rate_budget=self._rate_budget,
            health_recorder=health_recorder,
            duration_estimates=durations,
            piggyback=self._piggyback,
        )
        self._list_polls = ListPolls(
            services,
            reader=reader,
            rate_budget=self._rate_budget,
            health_recorder=health_recorder,
            piggyback=self._piggyback,
            list_membership=list_membership,
        )

    def max_claimed(self, account: str) -> int:
        """Return how many jobs of an account to claim at once."""
        return self._planner.max_claimed(account)

    def is_behind(self, account: str) -> bool:
        """Return whether an account's jobs need more requests than its budget grants."""
        return self._planner.is_behind(account)

    async def _count_workers(self, _: str) -> int:
        return await self._services.store.heartbeats.count(self._services.clock_ms())

    async def plan(self, shard: str, claim: Claim) -> tuple[list[PollTask], list[Settled]]:
        """Load a claim's jobs and plan requests for them; return the requests, and the jobs to settle without one."""
        keys = [item.member for item in claim.items]
        page, health, workers = await asyncio.gather(
            self._services.store.load_many(Wanted(jobs=keys, logs=keys)),
            self._health_cache.load_many(item.lane for item in claim.items),
            self._workers.get(""),
        )
        due: list[DueJob] = []
        refused: list[SinglePollTask] = []
        groups: list[PollTask] = []
        settled: list[Settled] = []
        for item in claim.items:
            held = take_held(page, item.member, claim.token)
            if held is None:  # a job without a record, or one that cannot be read
                delay_ms = UNREADABLE_RETRY_MS if item.member in page.unreadable else None
                settled.append(Settled(item.lane, item.member, claim.token, delay_ms))
                continue
            kind = held.job.record.kind
            if kind in GROUPS:
                groups.append(GroupTask(held=held, account=item.lane))
            elif auth_refusal_for(health[item.lane], kind):
                refused.append(SinglePollTask(held=held, account=item.lane, health=health[item.lane]))
            else:
                self._piggyback.note_watched(item.lane, kind)
                version = health[item.lane].version
                due.append(DueJob(held=held, account=item.lane, version=version, queued_ms=item.due_ms))
        tasks: list[PollTask] = [*groups, *_join_refused(refused)]
        chosen, waiting = self._slow_reads.choose(due, workers=workers or 1)
        if chosen:
            planned = await self._planner.plan(shard, chosen)
            tasks += [self._make_task(granted, health) for granted in planned.granted]
            waiting += planned.waiting
        settled += [Settled(job.account, job.held.key, job.held.token, delay_ms) for job, delay_ms in waiting]
        return tasks, settled

    def _make_task(self, granted: GrantedRequest, health: Mapping[str, AccountHealth]) -> PollTask:
        account = granted.bucket.account
        if granted.request.list:
            return ListPollTask(granted=granted, health=health[account])
        (job,) = granted.jobs
        self._slow_reads.begin(job)
        return SinglePollTask(held=job.held, account=account, health=health[account], granted=granted)

    async def poll(self, task: PollTask) -> Sequence[Settled]:
        """Send one request and apply its answer; return what is left to settle."""
        if isinstance(task, GroupTask):
            return await take_group_turn(self._services, task)
        tracing = self._services.tracing
        if not isinstance(task, SinglePollTask):
            with tracing.span("poll list", account=task.account, jobs=len(task.jobs)):
                return await self._list_polls.poll(task)
        try:
            if not tracing.is_on:
                return await self._single_polls.poll(task)
            job = task.held.job.record
            with tracing.span("poll job", account=task.account, job=task.held.key, kind=job.kind):
                return await self._single_polls.poll(task)
        finally:
            self._slow_reads.end(task.account, task.held.key)

    def give_back(self, task: PollTask) -> Sequence[Settled]:
        """Return what puts the jobs of a request that was not sent back into the queue, due now."""
        if isinstance(task, GroupTask):
            return [Settled(task.account, task.held.key, task.held.token, 0)]
        for each in task.jobs:
            self._slow_reads.end(task.account, each.key)
        if task.granted is not None:
            self._rate_budget.give_back(task.granted.bucket, task.granted.id)
        return [Settled(task.account, each.key, each.token, 0) for each in task.jobs]


def _join_refused(tasks: Sequence[SinglePollTask]) -> list[SinglePollTask]:
    """Group the jobs that the same refusal stops behind one of them, so that a claim probes the key only once."""
    leaders: dict[tuple[str, str], SinglePollTask] = {}
    for task in tasks:
        place = (task.account, auth_refusal_for(task.health, task.held.job.record.kind))
        leader = leaders.get(place)
        leaders[place] = replace(leader, followers=(*leader.followers, task.held)) if leader else task
    return list(leaders.values())
