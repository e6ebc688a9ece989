"""Plan polls: which of the due jobs get a request now, and when the others are considered again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.domain.polling.candidates import make_candidate
from bridge.domain.polling.planner import Candidate, Plan, PlanningContext, Request, defer_ms, plan_requests
from bridge.domain.polling.priority import Priority
from bridge.domain.polling.rate_limit import Bucket, Grant, Purpose
from bridge.services.accounts.pause import close_lanes
from bridge.services.accounts.rate_budget import BudgetRequest, RateBudget
from bridge.services.context import Services, kind_traits
from bridge.services.duration_estimates import DurationEstimates, category_of
from bridge.services.polling.backlog import Backlog
from bridge.services.polling.list_eligibility import ListEligibility, is_untried
from bridge.services.polling.list_membership import ListMembership
from bridge.services.polling.poll_requests import DueJob, GrantedRequest
from bridge.store.records import UnreadableRecord
from bridge.store.tables.account_stats import AccountStats
from bridge.store.tables.rate_budgets import MAX_OPEN
from bridge.store.vault import VaultError

MAX_LEASED = 2 * MAX_OPEN  # jobs of an account that are held at once: room behind those whose reads hang
MAX_CANDIDATES = 500  # jobs of an account in one plan
UNUSABLE_RETRY_MS = 60_000  # before the jobs of an account whose credential cannot be opened are tried again

NO_STATS = AccountStats()
NO_PRIORITY = Priority(0.0, 0.0)
# For an account that has enough requests for all of its due jobs, so that their priorities do not matter.
NO_CONTEXT = PlanningContext(now_ms=0, ms_per_request=0.0, durations={})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The requests to send now, and the jobs that wait, each with its delay in milliseconds."""

    granted: Sequence[GrantedRequest]
    waiting: Sequence[tuple[DueJob, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _AccountPlan:
    """The plan for one limit of an account; without candidates all jobs got a request without being compared."""

    bucket: Bucket
    jobs: Mapping[str, DueJob]
    candidates: Sequence[Candidate]
    context: PlanningContext
    plan: Plan


class Planner:
    """Plans the jobs of a claim within the budgets of their accounts."""

    def __init__(
        self,
        services: Services,
        rate_budget: RateBudget,
        duration_estimates: DurationEstimates,
        list_membership: ListMembership,
    ) -> None:
        self._services = services
        self._rate_budget = rate_budget
        self._duration_estimates = duration_estimates
        clock_ms, scale = services.clock_ms, services.time_scale
        self._lists = ListEligibility(list_membership, clock_ms=clock_ms, scale=scale)
        self._backlog = Backlog(clock_ms=clock_ms, scale=scale)

    def max_claimed(self, account: str) -> int:
        """Return how many jobs of an account to claim: more while the account is behind, to compare many jobs."""
        return MAX_CANDIDATES + MAX_LEASED if account in self._backlog else MAX_LEASED

    def is_behind(self, account: str) -> bool:
        """Return whether an account is behind, or was so a moment ago."""
        return account in self._backlog

    async def plan(self, shard: str, due: Sequence[DueJob]) -> Planned:
        """Ask each account's budget for requests, for the jobs with the highest priority first."""
        by_bucket, unusable = await self._group(due)
        names = self._lists.name_lists(due)
        stats = await self._load_stats(due, names)
        behind = self._backlog.among({bucket.account for bucket in by_bucket})
        sizes = await self._services.store.poll.sizes(shard, sorted(behind))
        plans = [
            self._plan_account(
                bucket, jobs, names, stats.get(bucket.account, NO_STATS), sizes.get(bucket.account)
            )
            for bucket, jobs in by_bucket.items()
        ]
        grants = await self._rate_budget.ask([_ask_for(each) for each in plans])
        granted: list[GrantedRequest] = []
        waiting = [(job, UNUSABLE_RETRY_MS) for job in unusable]
        answered = list(zip(plans, grants, strict=True))
        for each, grant in answered:
            granted += _granted(each, grant)
            waiting += _waiting(each, grant)
            self._backlog.note(each.bucket.account, grant, needed=len(each.plan.requests))
        await close_lanes(self._services, ((each.bucket, grant) for each, grant in answered))
        return Planned(granted=granted, waiting=waiting)

    async def _group(self, due: Sequence[DueJob]) -> tuple[Mapping[Bucket, list[DueJob]], list[DueJob]]:
        """Group jobs by the limit under which their reads count; also return jobs whose account cannot be used."""
        by_bucket: dict[Bucket, list[DueJob]] = defaultdict(list)
        unusable: list[DueJob] = []
        for job in due:
            kind = job.held.job.record.kind
            try:
                bucket = self._rate_budget.find_bucket(job.account, job.version, kind)
                if bucket is None:
                    bucket = await self._rate_budget.bucket(job.account, job.version, kind)
                by_bucket[bucket].append(job)
            except (KeyError, VaultError, UnreadableRecord) as error:
                log.warning("poll.account_unusable", account=job.account, error=type(error).__name__)
                unusable.append(job)
        return by_bucket, unusable

    async def _load_stats(
        self, due: Sequence[DueJob], names: Mapping[str, str]
    ) -> Mapping[str, AccountStats]:
        """Load what planning needs: lists that show two or more of the jobs, and durations that are out of date."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for job in due:
            name = names.get(job.held.key)
            if name and self._lists.count_members(job.account, name) > 1:
                wanted[job.account].add(name)
        for account in self._backlog.among({job.account for job in due}):
            if self._duration_estimates.is_stale(account):
                wanted.setdefault(account, set())
        stats = await self._services.store.account_stats.load(wanted) if wanted else {}
        for account in self._backlog.among(stats.keys()):
            if self._duration_estimates.is_stale(account):
                await self._duration_estimates.merge(account, stats[account])
        return stats

    def _plan_account(
        self,
        bucket: Bucket,
        jobs: Sequence[DueJob],
        names: Mapping[str, str],
        stats: AccountStats,
        watched: int | None,
    ) -> _AccountPlan:
        """Plan the jobs under one limit; `watched` is the number of all jobs of an account that is behind."""
        by_key = {job.held.key: job for job in jobs}
        listed = {names[key] for key in by_key.keys() & names.keys()}
        members = {name: self._lists.count_members(bucket.account, name) for name in listed}
        if bucket.account not in self._backlog and max(members.values(), default=0) < 2:
            return _AccountPlan(
                bucket=bucket, jobs=by_key, candidates=(), context=NO_CONTEXT, plan=_plan_all(by_key)
            )
        now_ms = self._services.clock_ms()
        candidates = [
            self._make_candidate(job, names.get(job.held.key, ""), stats, now_ms=now_ms) for job in jobs
        ]
        categories = {candidate.category for candidate in candidates}
        context = PlanningContext(
            now_ms=now_ms,
            ms_per_request=self._backlog.ms_per_request(bucket.account),
            durations=self._duration_estimates.durations(bucket.account, categories),
            lists=stats.lists,
            untried=_untried(candidates, by_key, stats),
            members=members,
            scale=self._services.settings.poll_scale,
            watched=len(jobs) if watched is None else watched,
        )
        plan = plan_requests(candidates, context)
        return _AccountPlan(bucket=bucket, jobs=by_key, candidates=candidates, context=context, plan=plan)

    def _make_candidate(self, job: DueJob, name: str, stats: AccountStats, *, now_ms: int) -> Candidate:
        record = job.held.job.record
        if name and not self._lists.may_ask(job, name, stats.lists.get(name), now_ms=now_ms):
            name = ""
        return make_candidate(
            job.held.key,
            record,
            job.held.log,
            queued_ms=job.queued_ms,
            now_ms=now_ms,
            category=category_of(record, job.held.log),
            listed=name,
            traits=kind_traits(record.kind),
            scale=self._services.time_scale,
        )


def _untried(
    candidates: Sequence[Candidate], jobs: Mapping[str, DueJob], stats: AccountStats
) -> frozenset[str]:
    """Return the names of lists that may not exist."""
    return frozenset(
        each.list
        for each in candidates
        if each.list and is_untried(jobs[each.key].held.job.record, stats.lists.get(each.list))
    )


def _plan_all(keys: Collection[str]) -> Plan:
    """Plan one request for each job, for an account with enough requests for all."""
    requests = tuple(Request(purpose=Purpose.SINGLE, priority=0.0, covers=(key,)) for key in keys)
    return Plan(requests=requests, priorities=dict.fromkeys(keys, NO_PRIORITY))


def _ask_for(each: _AccountPlan) -> BudgetRequest:
    """Return the plan's request to the budget: at most as many requests as jobs may be held, and the expected wait."""
    wanted = [request.purpose for request in each.plan.requests[:MAX_LEASED]]
    share = each.context.watched / max(1, len(each.candidates))
    turn_ms = round(len(each.plan.requests) * share * each.context.ms_per_request)
    return BudgetRequest(bucket=each.bucket, wanted=wanted, turn_ms=turn_ms)


def _granted(each: _AccountPlan, grant: Grant) -> list[GrantedRequest]:
    return [
        GrantedRequest(
            bucket=each.bucket,
            id=identifier,
            request=request,
            jobs=tuple(each.jobs[key] for key in request.covers),
            list_stats=each.context.lists.get(request.list),
        )
        for request, identifier in zip(each.plan.requests, grant.requests, strict=False)
    ]


def _waiting(each: _AccountPlan, grant: Grant) -> list[tuple[DueJob, int]]:
    """Return the jobs without a request; they wait until the budget has more or their priority has risen."""
    left = each.plan.requests[len(grant.requests) :]
    if not left:
        return []
    candidates = {candidate.key: candidate for candidate in each.candidates}
    clearing_price = left[0].priority
    waiting = []
    for number, request in enumerate(left):
        for key in request.covers:
            later_ms = 0
            if number and candidates:
                priority = each.plan.priorities[key]
                later_ms = defer_ms(candidates[key], priority, clearing_price, each.context)
            waiting.append((each.jobs[key], max(grant.wait_ms, later_ms)))
    return waiting
