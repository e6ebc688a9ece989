"""Planning polls: which of the jobs that are due get a request now, and when the others are weighed again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.domain.jobs.records import Job
from bridge.domain.polling.candidates import make_candidate
from bridge.domain.polling.list_pages import ListStats
from bridge.domain.polling.planner import Candidate, Plan, PlanningContext, Request, defer_ms, plan_requests
from bridge.domain.polling.priority import Priority
from bridge.domain.polling.rate_limit import Bucket, Grant, Purpose
from bridge.providers.registry import KINDS
from bridge.services.accounts.pause import close_lanes
from bridge.services.accounts.rate_budget import BudgetRequest, RateBudget
from bridge.services.context import Services, kind_traits
from bridge.services.jobs.observe import Held
from bridge.services.polling.duration_estimates import DurationEstimates, sort_of
from bridge.services.polling.list_membership import ListMembership
from bridge.store.tables.account_stats import AccountStats
from bridge.store.vault import VaultError

MOST_WEIGHED = 500  # jobs of an account in one plan
LIST_RETRY_S = 60.0  # before a list that did not serve once is tried again
PROBE_RETRY_S = 86_400.0  # the same of one that may not be there at all
SCARCE_MS = 500  # what is due takes longer than this: it has to be weighed
SCARCE_FOR_S = 30.0  # and for so long afterwards: a claim may come when only a few of many jobs are due
USELESS_MS = 30_000  # for so long a list of no use is not even looked up
MOST_USELESS = 10_000
UNUSABLE_MS = 60_000  # before an account whose credential cannot be opened is looked at again

NO_STATS = AccountStats()
NO_CONTEXT = PlanningContext(now_ms=0, ms_per_request=0.0, durations={})
NO_PRIORITY = Priority(0.0, 0.0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """A held job that is due; `queued_ms` is where it stood in its queue."""

    held: Held
    account: str
    version: int
    queued_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedRequest:
    """A request that may go out: its id in the budget, and the jobs it is for."""

    bucket: Bucket
    id: str
    request: Request
    jobs: tuple[DueJob, ...]
    seen: ListStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What goes out, and what waits for how many ms."""

    granted: Sequence[GrantedRequest]
    waiting: Sequence[tuple[DueJob, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One account's turn at planning; without watches nothing was weighed."""

    bucket: Bucket
    jobs: Mapping[str, DueJob]
    candidates: Sequence[Candidate]
    context: PlanningContext
    plan: Plan


class Planner:
    """Spends the budgets of accounts on the jobs of a claim."""

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
        self._list_membership = list_membership
        self._useless: dict[tuple[str, str], int] = {}
        # Ms a request, by account, where not all that was asked for was granted, and until when that is remembered.
        self._scarce: dict[str, float] = {}
        self._scarce_until_ms: dict[str, int] = {}

    def cap(self, account: str) -> int:
        """Give how many jobs of an account are worth claiming: many where they have to be weighed."""
        room = self._rate_budget.max_in_flight(account)
        return MOST_WEIGHED + room if account in self._scarce else room

    async def plan(self, shard: str, due: Sequence[DueJob]) -> Planned:
        """Ask each account's budget for requests, the most wanted first."""
        buckets: dict[Bucket, list[DueJob]] = defaultdict(list)
        waiting: list[tuple[DueJob, int]] = []
        for job in due:
            kind = job.held.job.record.kind
            try:
                buckets[await self._rate_budget.bucket(job.account, job.version, kind)].append(job)
            except (KeyError, VaultError) as error:
                log.warning("poll.account_unusable", account=job.account, error=type(error).__name__)
                waiting.append((job, UNUSABLE_MS))
        names = self._name_lists(due)
        stats = await self._load_lessons(due, names)
        crowded = {bucket.account for bucket in buckets} & self._scarce.keys()
        sizes = await self._services.store.poll.sizes(shard, sorted(crowded))
        rounds = [
            self._plan_account(
                bucket, jobs, names, stats.get(bucket.account, NO_STATS), sizes.get(bucket.account)
            )
            for bucket, jobs in buckets.items()
        ]
        grants = await self._rate_budget.ask(
            [_ask_for(each, self._rate_budget.max_in_flight(each.bucket.account)) for each in rounds]
        )
        granted: list[GrantedRequest] = []
        for each, grant in zip(rounds, grants, strict=True):
            granted += _granted(each, grant)
            waiting += _waiting(each, grant)
            self._note_scarcity(each, grant)
        await close_lanes(
            self._services, ((each.bucket, grant) for each, grant in zip(rounds, grants, strict=True))
        )
        return Planned(granted=granted, waiting=waiting)

    def _note_scarcity(self, each: _Round, grant: Grant) -> None:
        account, now_ms = each.bucket.account, self._services.clock_ms()
        if grant.wait_ms and grant.ms_per_request * len(each.plan.requests) >= SCARCE_MS:
            self._scarce[account] = grant.ms_per_request
            self._scarce_until_ms[account] = now_ms + self._services.time_scale.ms(SCARCE_FOR_S)
        elif now_ms >= self._scarce_until_ms.get(account, 0):
            self._scarce.pop(account, None)
            self._scarce_until_ms.pop(account, None)

    def _name_lists(self, due: Sequence[DueJob]) -> dict[str, str]:
        """Name the list of each job that may be shown by one, by job key; jobs that no list shows are left out."""
        names: dict[str, str] = {}
        for job in due:
            record = job.held.job.record
            name = list_of(record)
            if not name or self._services.clock_ms() < self._useless.get((job.account, name), 0):
                continue
            self._list_membership.meet(job.account, name, record.id)
            if not self._list_membership.is_lost(job.account, name, record.id):
                names[job.held.key] = name
        return names

    async def _load_lessons(
        self, due: Sequence[DueJob], names: Mapping[str, str]
    ) -> Mapping[str, AccountStats]:
        """Load what planning needs to know: lists that show two jobs or more, and stale lifetimes."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for job in due:
            name = names.get(job.held.key)
            if name and self._list_membership.count(job.account, name) > 1:
                wanted[job.account].add(name)
        for account in {job.account for job in due} & self._scarce.keys():
            if self._duration_estimates.is_stale(account):
                wanted.setdefault(account, set())
        stats = await self._services.store.account_stats.load(wanted) if wanted else {}
        for account in stats.keys() & self._scarce.keys():
            if self._duration_estimates.is_stale(account):
                await self._duration_estimates.fold(account, stats[account])
        return stats

    def _plan_account(
        self,
        bucket: Bucket,
        jobs: Sequence[DueJob],
        names: Mapping[str, str],
        stats: AccountStats,
        watched: int | None,
    ) -> _Round:
        """Plan one account's jobs; `watched` counts all of its jobs where they are weighed."""
        by_key = {job.held.key: job for job in jobs}
        listed = {names[key] for key in by_key.keys() & names.keys()}
        members = {name: self._list_membership.count(bucket.account, name) for name in listed}
        if bucket.account not in self._scarce and max(members.values(), default=0) < 2:
            return _Round(
                bucket=bucket, jobs=by_key, candidates=(), context=NO_CONTEXT, plan=_plan_all(by_key)
            )
        now_ms = self._services.clock_ms()
        untried: set[str] = set()
        candidates = [
            self._make_candidate(job, names.get(job.held.key, ""), stats, untried, now_ms=now_ms)
            for job in jobs
        ]
        context = PlanningContext(
            now_ms=now_ms,
            ms_per_request=self._scarce.get(bucket.account, 0.0),
            durations=self._duration_estimates.durations(
                bucket.account, {candidate.sort for candidate in candidates}
            ),
            lists=stats.lists,
            untried=frozenset(untried),
            members=members,
            scale=self._services.settings.poll_scale,
            watched=len(jobs) if watched is None else watched,
        )
        return _Round(
            bucket=bucket,
            jobs=by_key,
            candidates=candidates,
            context=context,
            plan=plan_requests(candidates, context),
        )

    def _make_candidate(
        self, job: DueJob, name: str, stats: AccountStats, untried: set[str], *, now_ms: int
    ) -> Candidate:
        record = job.held.job.record
        if name:
            name = self._usable(job, name, stats.lists.get(name), untried, now_ms)
        return make_candidate(
            job.held.key,
            record,
            job.held.log,
            queued_ms=job.queued_ms,
            now_ms=now_ms,
            sort=sort_of(record, job.held.log),
            listed=name,
            traits=kind_traits(record.kind),
            scale=self._services.time_scale,
        )

    def _usable(self, job: DueJob, name: str, seen: ListStats | None, untried: set[str], now_ms: int) -> str:
        """Give a list's name if it may be asked; one that is not known to be there is `untried`."""
        spec = KINDS[job.held.job.record.kind].list
        assert spec is not None, "it has a name"
        if seen is not None and seen.useless_ms:
            serves = spec.documented or seen.count > 0
            retry_ms = self._services.time_scale.ms(LIST_RETRY_S) if serves else round(PROBE_RETRY_S * 1000)
            if now_ms - seen.useless_ms < retry_ms:
                if len(self._useless) >= MOST_USELESS:
                    self._useless.clear()
                self._useless[job.account, name] = min(seen.useless_ms + retry_ms, now_ms + USELESS_MS)
                return ""
        if not spec.documented and (seen is None or seen.useless_ms):
            untried.add(name)
        return name


def _plan_all(keys: Collection[str]) -> Plan:
    """Where requests are plenty no job is weighed against another."""
    requests = tuple(Request(purpose=Purpose.SINGLE, priority=0.0, covers=(key,)) for key in keys)
    return Plan(requests=requests, priorities=dict.fromkeys(keys, NO_PRIORITY))


def list_of(job: Job) -> str:
    """Name the list that would show a job, empty where none is known."""
    spec = KINDS[job.kind].list
    return spec.name_for(job.persona) if spec is not None else ""


def _ask_for(each: _Round, room: int) -> BudgetRequest:
    """Ask for no more than may be in flight, and tell for people how long a job waits for its turn."""
    wanted = [request.purpose for request in each.plan.requests[:room]]
    share = each.context.watched / max(1, len(each.candidates))
    turn_ms = round(len(each.plan.requests) * share * each.context.ms_per_request)
    return BudgetRequest(bucket=each.bucket, wanted=wanted, turn_ms=turn_ms)


def _granted(each: _Round, grant: Grant) -> list[GrantedRequest]:
    return [
        GrantedRequest(
            bucket=each.bucket,
            id=identifier,
            request=request,
            jobs=tuple(each.jobs[key] for key in request.covers),
            seen=each.context.lists.get(request.list),
        )
        for request, identifier in zip(each.plan.requests, grant.requests, strict=False)
    ]


def _waiting(each: _Round, grant: Grant) -> list[tuple[DueJob, int]]:
    """Put back what got no request until the budget has more, or until it is worth what a request costs now."""
    left = each.plan.requests[len(grant.requests) :]
    if not left:
        return []
    candidates = {candidate.key: candidate for candidate in each.candidates}
    waiting = []
    for number, request in enumerate(left):
        for key in request.covers:
            priority = each.plan.priorities[key]
            later = (
                defer_ms(candidates[key], priority, left[0].priority, each.context)
                if number and candidates
                else 0
            )
            waiting.append((each.jobs[key], max(grant.wait_ms, later)))
    return waiting
