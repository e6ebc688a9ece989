"""Plan the sweeps of followed personas within the budgets of their accounts.

A persona has a place in its account's poll lane, as a job has, so that its sweeps spend the same budget. Registered jobs
are served first; ten sweeps a minute go before them, so that news is heard of also while an account is behind.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from bridge.domain.following.intervals import KEPT_PER_MINUTE, SWEEP_SHARE
from bridge.domain.following.records import Followed, read_sweep_member
from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.polling.rate_limit import Bucket, Purpose
from bridge.providers.spec import KindSpec
from bridge.services.accounts.account_health import auth_refusal_for
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.accounts.pause import close_lanes
from bridge.services.accounts.rate_budget import BudgetRequest, RateBudget
from bridge.services.context import Services
from bridge.services.following.followed_kinds import followed_kind
from bridge.store.queue.lanes import Claim, Item, Settled
from bridge.store.tables.account_health import AccountHealth

KEPT_EVERY_S: Final = 60.0 / KEPT_PER_MINUTE


class SweepTask(Struct, frozen=True, kw_only=True, gc=False):
    """A granted read of a persona's posts, or of the list of personas; `request` is its id in the budget."""

    shard: str
    account: str
    persona: str
    member: str
    token: bytes
    kind: KindSpec
    bucket: Bucket
    request: str
    per_minute: float
    health: AccountHealth
    personas: Mapping[str, Followed]
    jobs: tuple[()] = ()

    @property
    def followed(self) -> Followed:
        """What is known of the persona."""
        return self.personas[self.persona]


class DueSweep(Struct, frozen=True, kw_only=True, gc=False):
    """A claimed place of a persona, whose sweep is due."""

    item: Item
    token: bytes
    persona: str
    kind: KindSpec
    bucket: Bucket
    health: AccountHealth
    personas: Mapping[str, Followed]


class SweepPlanner:
    """Plans the sweeps of one worker."""

    def __init__(
        self,
        services: Services,
        *,
        rate_budget: RateBudget,
        health_cache: HealthCache,
        credentials: Credentials,
    ) -> None:
        """Take what the worker's polls use too."""
        self._services = services
        self._rate_budget = rate_budget
        self._health_cache = health_cache
        self._credentials = credentials

    async def load(self, claim: Claim) -> tuple[list[DueSweep], list[Settled]]:
        """Return the sweeps among a claim's items, and those to settle: followed no more, or with a refused key."""
        health = await self._health_cache.load_many({item.lane for item in claim.items})
        personas = {lane: await self._services.store.following.load(lane) for lane in health}
        due: list[DueSweep] = []
        settled: list[Settled] = []
        for item in claim.items:
            persona = read_sweep_member(item.member) or ""
            version = health[item.lane].version
            login = await self._credentials.get(item.lane, version)
            kind = followed_kind(login.provider)
            if kind is None or persona not in personas[item.lane]:
                settled.append(Settled(item.lane, item.member, claim.token, None))
                continue
            if auth_refusal_for(health[item.lane], kind.name):
                delay_ms = self._services.time_scale.ms(OUTAGE_RETRY_S)
                settled.append(Settled(item.lane, item.member, claim.token, delay_ms))
                continue
            due.append(
                DueSweep(
                    item=item,
                    token=claim.token,
                    persona=persona,
                    kind=kind,
                    bucket=await self._rate_budget.bucket(item.lane, version, kind.name),
                    health=health[item.lane],
                    personas=personas[item.lane],
                )
            )
        return due, settled

    def choose_kept(self, due: Sequence[DueSweep]) -> list[DueSweep]:
        """Return the sweeps that go before jobs: of each account the longest due one, if none was made for six seconds."""
        now_ms, kept = self._services.clock_ms(), dict[str, DueSweep]()
        every_ms = self._services.time_scale.ms(KEPT_EVERY_S)
        for each in sorted(due, key=lambda each: each.item.due_ms):
            last_ms = max((followed.swept_ms for followed in each.personas.values()), default=0)
            if now_ms - last_ms >= every_ms:
                kept.setdefault(each.item.lane, each)
        return list(kept.values())

    async def plan(self, due: Sequence[DueSweep]) -> tuple[list[SweepTask], list[Settled]]:
        """Ask for a request for each sweep; those without one wait until the budget has more."""
        by_bucket: dict[Bucket, list[DueSweep]] = {}
        for each in sorted(due, key=lambda each: each.item.due_ms):
            by_bucket.setdefault(each.bucket, []).append(each)
        if not by_bucket:
            return [], []
        grants = await self._rate_budget.ask(
            [
                BudgetRequest(bucket=bucket, wanted=[Purpose.LIST] * len(some))
                for bucket, some in by_bucket.items()
            ]
        )
        tasks: list[SweepTask] = []
        settled: list[Settled] = []
        for some, grant in zip(by_bucket.values(), grants, strict=True):
            per_minute = grant.limit * self._services.settings.budget_share * SWEEP_SHARE
            granted = len(grant.requests)
            tasks += [
                _task(each, request, per_minute, shard=self._services.store.shard_of(each.item.lane))
                for each, request in zip(some, grant.requests, strict=False)
            ]
            settled += [
                Settled(each.item.lane, each.item.member, each.token, grant.wait_ms)
                for each in some[granted:]
            ]
        await close_lanes(self._services, zip(by_bucket, grants, strict=True))
        return tasks, settled

    def put_off(self, due: Sequence[DueSweep]) -> list[Settled]:
        """Return what lets sweeps wait for jobs that need all requests."""
        delay_ms = self._services.time_scale.ms(KEPT_EVERY_S)
        return [Settled(each.item.lane, each.item.member, each.token, delay_ms) for each in due]

    def give_back(self, task: SweepTask) -> Sequence[Settled]:
        """Return what puts a sweep that was not made back into the queue."""
        self._rate_budget.give_back(task.bucket, task.request)
        return (Settled(task.account, task.member, task.token, 0),)


def _task(due: DueSweep, request: str, per_minute: float, *, shard: str) -> SweepTask:
    return SweepTask(
        shard=shard,
        account=due.item.lane,
        persona=due.persona,
        member=due.item.member,
        token=due.token,
        kind=due.kind,
        bucket=due.bucket,
        request=request,
        per_minute=per_minute,
        health=due.health,
        personas=due.personas,
    )
