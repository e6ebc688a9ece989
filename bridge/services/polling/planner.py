"""Planning polls: which of the jobs that are due get a request now, and when the others are weighed again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.domain.jobs.records import Job
from bridge.domain.polling.candidates import make_watch
from bridge.domain.polling.list_pages import ListSeen
from bridge.domain.polling.planner import Plan, Request, Scene, Watch, defer_ms, plan_requests
from bridge.domain.polling.priority import Worth
from bridge.domain.polling.rate_limit import Grant, Purpose
from bridge.providers.registry import KINDS
from bridge.services.accounts.rate_budget import Purse, Spending
from bridge.services.context import Services, traits_of
from bridge.services.jobs.observe import Held
from bridge.services.polling.duration_estimates import Evidence, sort_of
from bridge.services.polling.list_membership import Neighbours
from bridge.store.tables.account_stats import Lessons
from bridge.store.vault import VaultError

MOST_WEIGHED = 500  # jobs of an account in one plan
LIST_RETRY_S = 60.0  # before a list that did not serve once is tried again
PROBE_RETRY_S = 86_400.0  # the same of one that may not be there at all
SCARCE_MS = 500  # what is due takes longer than this: it has to be weighed
SCARCE_FOR_S = 30.0  # and for so long afterwards: a claim may come when only a few of many jobs are due
USELESS_MS = 30_000  # for so long a list of no use is not even looked up
MOST_USELESS = 10_000
UNUSABLE_MS = 60_000  # before an account whose credential cannot be opened is looked at again

NO_LESSONS = Lessons()
NO_SCENE = Scene(now_ms=0, pace_ms=0.0, lifetimes={})
NO_WORTH = Worth(0.0, 0.0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """A held job that is due; `queued_ms` is where it stood in its queue."""

    held: Held
    account: str
    version: int
    queued_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A request that may go out: its id in the budget, and the jobs it is for."""

    purse: Purse
    id: str
    request: Request
    jobs: tuple[DueJob, ...]
    seen: ListSeen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What goes out, what waits for how many ms, and for how many ms whole accounts sleep."""

    granted: Sequence[Granted]
    waiting: Sequence[tuple[DueJob, int]]
    sleeping: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One account's turn at planning; without watches nothing was weighed."""

    purse: Purse
    jobs: Mapping[str, DueJob]
    watches: Sequence[Watch]
    scene: Scene
    plan: Plan


class Planning:
    """Spends the budgets of accounts on the jobs of a claim."""

    def __init__(
        self, services: Services, spending: Spending, evidence: Evidence, neighbours: Neighbours
    ) -> None:
        self._services = services
        self._spending = spending
        self._evidence = evidence
        self._neighbours = neighbours
        self._useless: dict[tuple[str, str], int] = {}
        # Ms a request, by account, where not all that was asked for was granted, and until when that is remembered.
        self._scarce: dict[str, float] = {}
        self._scarce_until_ms: dict[str, int] = {}

    def cap(self, account: str) -> int:
        """Give how many jobs of an account are worth claiming: many where they have to be weighed."""
        room = self._spending.room(account)
        return MOST_WEIGHED + room if account in self._scarce else room

    async def plan(self, shard: str, due: Sequence[DueJob]) -> Planned:
        """Ask each account's budget for requests, the most wanted first."""
        purses: dict[Purse, list[DueJob]] = defaultdict(list)
        waiting: list[tuple[DueJob, int]] = []
        for job in due:
            kind = job.held.job.record.kind
            try:
                purses[await self._spending.purse(job.account, job.version, kind)].append(job)
            except (KeyError, VaultError) as error:
                log.warning("poll.account_unusable", account=job.account, error=type(error).__name__)
                waiting.append((job, UNUSABLE_MS))
        names = self._name_lists(due)
        lessons = await self._load_lessons(due, names)
        crowded = {purse.account for purse in purses} & self._scarce.keys()
        sizes = await self._services.store.poll.sizes(shard, sorted(crowded))
        rounds = [
            self._plan_account(
                purse, jobs, names, lessons.get(purse.account, NO_LESSONS), sizes.get(purse.account)
            )
            for purse, jobs in purses.items()
        ]
        grants = await self._spending.ask(
            [_ask_for(each, self._spending.room(each.purse.account)) for each in rounds]
        )
        granted: list[Granted] = []
        sleeping: dict[str, int] = {}
        for each, grant in zip(rounds, grants, strict=True):
            granted += _granted(each, grant)
            waiting += _waiting(each, grant)
            self._note_scarcity(each, grant)
            if grant.wait_ms:
                sleeping[each.purse.account] = grant.wait_ms
        return Planned(granted=granted, waiting=waiting, sleeping=sleeping)

    def _note_scarcity(self, each: _Round, grant: Grant) -> None:
        account, now_ms = each.purse.account, self._services.clock_ms()
        if grant.wait_ms and grant.pace_ms * len(each.plan.requests) >= SCARCE_MS:
            self._scarce[account] = grant.pace_ms
            self._scarce_until_ms[account] = now_ms + self._services.pace.ms(SCARCE_FOR_S)
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
            self._neighbours.meet(job.account, name, record.id)
            if not self._neighbours.is_lost(job.account, name, record.id):
                names[job.held.key] = name
        return names

    async def _load_lessons(self, due: Sequence[DueJob], names: Mapping[str, str]) -> Mapping[str, Lessons]:
        """Load what planning needs to know: lists that show two jobs or more, and stale lifetimes."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for job in due:
            name = names.get(job.held.key)
            if name and self._neighbours.count(job.account, name) > 1:
                wanted[job.account].add(name)
        for account in {job.account for job in due} & self._scarce.keys():
            if self._evidence.is_stale(account):
                wanted.setdefault(account, set())
        lessons = await self._services.store.learnt.load(wanted) if wanted else {}
        for account in lessons.keys() & self._scarce.keys():
            if self._evidence.is_stale(account):
                await self._evidence.fold(account, lessons[account])
        return lessons

    def _plan_account(
        self,
        purse: Purse,
        jobs: Sequence[DueJob],
        names: Mapping[str, str],
        lessons: Lessons,
        watched: int | None,
    ) -> _Round:
        """Plan one account's jobs; `watched` counts all of its jobs where they are weighed."""
        by_key = {job.held.key: job for job in jobs}
        listed = {names[key] for key in by_key.keys() & names.keys()}
        members = {name: self._neighbours.count(purse.account, name) for name in listed}
        if purse.account not in self._scarce and max(members.values(), default=0) < 2:
            return _Round(purse=purse, jobs=by_key, watches=(), scene=NO_SCENE, plan=_plan_all(by_key))
        now_ms = self._services.clock_ms()
        untried: set[str] = set()
        watches = [
            self._watch(job, names.get(job.held.key, ""), lessons, untried, now_ms=now_ms) for job in jobs
        ]
        scene = Scene(
            now_ms=now_ms,
            pace_ms=self._scarce.get(purse.account, 0.0),
            lifetimes=self._evidence.lifetimes(purse.account, {watch.sort for watch in watches}),
            lists=lessons.lists,
            untried=frozenset(untried),
            members=members,
            scale=self._services.settings.poll_scale,
            watched=len(jobs) if watched is None else watched,
        )
        return _Round(
            purse=purse,
            jobs=by_key,
            watches=watches,
            scene=scene,
            plan=plan_requests(watches, scene),
        )

    def _watch(self, job: DueJob, name: str, lessons: Lessons, untried: set[str], *, now_ms: int) -> Watch:
        record = job.held.job.record
        if name:
            name = self._usable(job, name, lessons.lists.get(name), untried, now_ms)
        return make_watch(
            job.held.key,
            record,
            job.held.log,
            queued_ms=job.queued_ms,
            now_ms=now_ms,
            sort=sort_of(record, job.held.log),
            listed=name,
            traits=traits_of(record.kind),
            pace=self._services.pace,
        )

    def _usable(self, job: DueJob, name: str, seen: ListSeen | None, untried: set[str], now_ms: int) -> str:
        """Give a list's name if it may be asked; one that is not known to be there is `untried`."""
        spec = KINDS[job.held.job.record.kind].list
        assert spec is not None, "it has a name"
        if seen is not None and seen.useless_ms:
            serves = spec.documented or seen.count > 0
            retry_ms = self._services.pace.ms(LIST_RETRY_S) if serves else round(PROBE_RETRY_S * 1000)
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
    requests = tuple(Request(purpose=Purpose.SINGLE, worth=0.0, covers=(key,)) for key in keys)
    return Plan(requests=requests, worths=dict.fromkeys(keys, NO_WORTH))


def list_of(job: Job) -> str:
    """Name the list that would show a job, empty where none is known."""
    spec = KINDS[job.kind].list
    return spec.name_for(job.persona) if spec is not None else ""


def _ask_for(each: _Round, room: int) -> tuple[Purse, list[Purpose], int | None]:
    """Ask for no more than may be in flight, and tell for people how long a job waits for its turn."""
    wanted = [request.purpose for request in each.plan.requests[:room]]
    share = each.scene.watched / max(1, len(each.watches))
    turn_ms = round(len(each.plan.requests) * share * each.scene.pace_ms)
    return each.purse, wanted, turn_ms


def _granted(each: _Round, grant: Grant) -> list[Granted]:
    return [
        Granted(
            purse=each.purse,
            id=identifier,
            request=request,
            jobs=tuple(each.jobs[key] for key in request.covers),
            seen=each.scene.lists.get(request.list),
        )
        for request, identifier in zip(each.plan.requests, grant.requests, strict=False)
    ]


def _waiting(each: _Round, grant: Grant) -> list[tuple[DueJob, int]]:
    """Put back what got no request until the budget has more, or until it is worth what a request costs now."""
    left = each.plan.requests[len(grant.requests) :]
    if not left:
        return []
    watches = {watch.key: watch for watch in each.watches}
    waiting = []
    for number, request in enumerate(left):
        for key in request.covers:
            worth = each.plan.worths[key]
            later = defer_ms(watches[key], worth, left[0].worth, each.scene) if number and watches else 0
            waiting.append((each.jobs[key], max(grant.wait_ms, later)))
    return waiting
