"""`verify`: one read of each job before it is registered, as careful with the account as its polls are."""

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
from bridge.services.accounts.pause import report_responses
from bridge.services.accounts.rate_budget import make_report
from bridge.services.context import Services
from bridge.services.jobs.registration import RegisterCallback, find_account
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.accounts import Account
from bridge.store.tables.rate_budgets import Ask

AT_ONCE = 10
LATER = "or register without verify"


@dataclass(frozen=True, slots=True)
class _Guest:
    """A reader in an account whose limits and outages are the same for its polls."""

    services: Services
    account: Account
    kind: str
    login: Login
    bucket: Bucket

    @classmethod
    async def invite(cls, services: Services, account: Account, kind: str) -> "_Guest":
        """Open the account's credential once, for all of its reads."""
        login = await services.login(account)
        return cls(services, account, kind, login, plan_bucket(services, account.id, login, kind))

    async def enter(self) -> AccountHealth:
        """Give the account's health; Unauthorized or NotAllowed while it is refused and was tried lately."""
        store, now_ms = self.services.store, self.services.clock_ms()
        health = await store.health.load(self.account.id)
        refused = (
            KeyRefused() if health.outage_ms else KindForbidden() if self.kind in health.forbidden else None
        )
        every_ms = round(self.services.time_scale.ms(OUTAGE_RETRY_S))
        if refused and not await store.health.take_probe(self.account.id, now_ms, every_ms=every_ms):
            self.judge("", refused)
        return health

    async def take(self, count: int) -> tuple[str, ...]:
        """Take so many requests from the account's budget, all or none; RateLimited where its window lacks them."""
        wanted = [Purpose.SINGLE] * count
        ask = Ask(account=self.account.id, limit=self.bucket.limit, wanted=wanted, max_open=None)
        (grant,) = await self.services.store.budgets.spend_many((ask,))
        if len(grant.requests) < count:
            raise self._limited(grant.wait_ms / 1000)
        return grant.requests

    async def read(self, job_ids: Sequence[str]) -> list[PollAnswer]:
        """Read some jobs at once."""
        kind, now_ms = KINDS[self.kind], self.services.clock_ms()
        reads = (self.services.upstream.read(self.login, kind, job_id, now_ms=now_ms) for job_id in job_ids)
        return list(await asyncio.gather(*reads))

    async def note(
        self, requests: Sequence[str], answers: Sequence[PollAnswer], health: AccountHealth, *, begun_ms: int
    ) -> None:
        """Keep what answers say of the whole account."""
        notes = AccountHealthRecorder(self.services, HealthCache(self.services.store.health))
        at = PollContext(begun_ms=begun_ms, now_ms=self.services.clock_ms())
        for answer in answers:
            await notes.note(self.account.id, health, self.kind, answer.result, at)
        reports = [
            make_report(request, answer.rate, answer.result)
            for request, answer in zip(requests, answers, strict=True)
        ]
        await report_responses(self.services, {self.bucket: reports})

    async def give_back(self, requests: Sequence[str]) -> None:
        """Tell the budget of requests that did not go out; they count as spent."""
        reports = [RateReport(request=request) for request in requests]
        await report_responses(self.services, {self.bucket: reports})

    def judge(self, job_id: str, result: PollResult) -> None:
        """Raise what keeps a job from being registered, if anything does."""
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
                    f"verify: {provider} answers 503; repeat later, {LATER}", retry_after_s=wait_s
                )
            case UpstreamBroken(reason=reason):
                raise Unavailable(f"verify: {provider} could not be read ({reason}); try again, {LATER}")
            case UnexpectedAnswer(reason=reason):
                raise Unavailable(f"verify: {provider} gave no usable answer ({reason}); try again, {LATER}")

    def _limited(self, wait_s: float) -> RateLimited:
        return RateLimited(
            wait_s,
            f"verify: {self.account.provider}'s rate limit for this account leaves no room for it now: "
            f"repeat after Retry-After, with fewer jobs at once, {LATER}",
        )


async def verify(services: Services, project: str, commands: Sequence[RegisterCallback]) -> None:
    """Read the jobs of one registration once each, none while the account must be left alone.

    Raises NotFound, Unauthorized, Forbidden, RateLimited or Unavailable: what is wrong, and when to come again. The
    first read tells how much room the account's window has, before the others use it up.
    """
    account = await find_account(services, project, commands[0])
    guest = await _Guest.invite(services, account, commands[0].kind)
    ids = [command.job_id for command in commands]
    health = await guest.enter()
    for part in (ids[:1], ids[1:]):
        left, requests = part, await guest.take(len(part)) if part else ()
        try:
            while left:
                page, sent = left[:AT_ONCE], requests[:AT_ONCE]
                left, requests = left[AT_ONCE:], requests[AT_ONCE:]
                begun_ms = services.clock_ms()
                answers = await guest.read(page)
                await guest.note(sent, answers, health, begun_ms=begun_ms)
                for job_id, answer in zip(page, answers, strict=True):
                    guest.judge(job_id, answer.result)
        finally:
            if requests:
                await guest.give_back(requests)
