"""`verify: true`: read each job once before it is registered, within the account's rate limit and outages."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observed,
    PollResult,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.domain.polling.rate_limit import Bucket, Purpose, RateReport
from bridge.errors import Forbidden, NotFound, RateLimited, Unauthorized, Unavailable
from bridge.http.upstream import Login, PollAnswer
from bridge.providers.registry import KINDS
from bridge.services.accounts.account_health import AccountHealthRecorder
from bridge.services.accounts.budget_view import plan_bucket
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.accounts.manage import choose_account
from bridge.services.accounts.pause import report_responses
from bridge.services.accounts.rate_budget import make_report
from bridge.services.context import Services
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.accounts import Account
from bridge.store.tables.rate_budgets import Ask

MAX_CONCURRENT = 10
ALTERNATIVE = "or register without verify"


@dataclass(frozen=True, slots=True)
class _AccountReader:
    """Reads jobs of one kind with an account's credential, under the rate limit and outages that its polls obey."""

    services: Services
    account: Account
    kind: str
    login: Login
    bucket: Bucket

    @classmethod
    async def open(cls, services: Services, account: Account, kind: str) -> "_AccountReader":
        """Return a reader with the account's credential opened once for all reads."""
        login = await services.login(account)
        return cls(
            services, account, kind, login, plan_bucket(services, account.id, login, KINDS[kind].limit)
        )

    async def check_health(self) -> AccountHealth:
        """Return the account's health; raise Unauthorized or Forbidden while a refused key was tried just before."""
        store, now_ms = self.services.store, self.services.clock_ms()
        health = await store.health.load(self.account.id)
        refused = (
            KeyRefused() if health.outage_ms else KindForbidden() if self.kind in health.forbidden else None
        )
        every_ms = round(self.services.time_scale.ms(OUTAGE_RETRY_S))
        if refused and not await store.health.take_probe(self.account.id, now_ms, every_ms=every_ms):
            self.check("", refused)
        return health

    async def reserve(self, count: int) -> tuple[str, ...]:
        """Take `count` requests from the account's rate budget, or raise RateLimited."""
        wanted = [Purpose.SINGLE] * count
        ask = Ask(account=self.account.id, limit=self.bucket.limit, wanted=wanted, max_open=None)
        (grant,) = await self.services.store.budgets.spend_many((ask,))
        if len(grant.requests) < count:
            raise self._limited(grant.wait_ms / 1000)
        return grant.requests

    async def read(self, job_ids: Sequence[str]) -> list[PollAnswer]:
        """Read some jobs concurrently."""
        kind, now_ms = KINDS[self.kind], self.services.clock_ms()
        reads = (self.services.upstream.read(self.login, kind, job_id, now_ms=now_ms) for job_id in job_ids)
        return list(await asyncio.gather(*reads))

    async def record(
        self, requests: Sequence[str], answers: Sequence[PollAnswer], health: AccountHealth, *, begun_ms: int
    ) -> None:
        """Record what the answers mean for the account's health and rate budget."""
        recorder = AccountHealthRecorder(self.services, HealthCache(self.services.store.health))
        at = PollContext(begun_ms=begun_ms, now_ms=self.services.clock_ms())
        for answer in answers:
            await recorder.note(self.account.id, health, self.kind, answer.result, at)
        reports = [
            make_report(request, answer.rate, answer.result)
            for request, answer in zip(requests, answers, strict=True)
        ]
        await report_responses(self.services, {self.bucket: reports})

    async def give_back(self, requests: Sequence[str]) -> None:
        """Report requests that were not sent; the budget counts them as spent."""
        reports = [RateReport(request=request) for request in requests]
        await report_responses(self.services, {self.bucket: reports})

    def check(self, job_id: str, result: PollResult) -> None:
        """Raise the error that keeps a job from being registered, if its result is one."""
        provider = self.account.provider
        match result:
            case Observed():
                return
            case JobNotFound():
                raise NotFound(f"{provider} knows no {self.kind} {job_id}: check the id")
            case KeyRefused():
                raise Unauthorized(
                    f"{provider} refuses the account's key: replace it with PUT /v1/accounts/{self.account.id}/credential"
                )
            case KindForbidden():
                raise Forbidden(
                    f"the account's key may not read a {self.kind}: give it the scope that reads them"
                )
            case Throttled(until_ms=until_ms):
                raise self._limited(max(0.0, (until_ms - self.services.clock_ms()) / 1000))
            case UpstreamBusy(wait_s=wait_s):
                raise Unavailable(
                    f"verify: {provider} answers 503; repeat later, {ALTERNATIVE}", retry_after_s=wait_s
                )
            case UpstreamBroken(reason=reason):
                raise Unavailable(
                    f"verify: {provider} could not be read ({reason}); try again, {ALTERNATIVE}"
                )
            case UnexpectedAnswer(reason=reason):
                raise Unavailable(
                    f"verify: {provider} gave no usable answer ({reason}); try again, {ALTERNATIVE}"
                )

    def _limited(self, wait_s: float) -> RateLimited:
        return RateLimited(
            wait_s,
            f"verify: {self.account.provider}'s rate limit for this account leaves no room for it now: "
            f"repeat after Retry-After, with fewer jobs at once, {ALTERNATIVE}",
        )


async def verify(services: Services, project: str, commands: Sequence[RegisterCallback]) -> None:
    """Read each job of a registration once; read none while the account's key is refused or its rate limit is reached.

    Raise NotFound, Unauthorized, Forbidden, RateLimited or Unavailable. One job is read before the others, because its
    answer shows how many requests are left in the account's window.
    """
    account = await choose_account(services, project, commands[0].kind, commands[0].account)
    reader = await _AccountReader.open(services, account, commands[0].kind)
    ids = [command.job_id for command in commands]
    health = await reader.check_health()
    for part in (ids[:1], ids[1:]):
        left, requests = part, await reader.reserve(len(part)) if part else ()
        try:
            while left:
                page, sent = left[:MAX_CONCURRENT], requests[:MAX_CONCURRENT]
                left, requests = left[MAX_CONCURRENT:], requests[MAX_CONCURRENT:]
                begun_ms = services.clock_ms()
                answers = await reader.read(page)
                await reader.record(sent, answers, health, begun_ms=begun_ms)
                for job_id, answer in zip(page, answers, strict=True):
                    reader.check(job_id, answer.result)
        finally:
            if requests:
                await reader.give_back(requests)
