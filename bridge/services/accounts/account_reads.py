"""Read an account's lists and jobs beside its polls, each as a request of the account's rate budget.

Many starts may be uncertain at once, after a crash for instance, and ask for the same pages: these are read once for all of them.
"""

from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.domain.observation import (
    Observation,
    Observed,
    PollResult,
    Throttled,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.domain.polling.rate_limit import Bucket, Purpose
from bridge.http.upstream import ListAnswer, Login, PollAnswer
from bridge.providers.lists import Rows
from bridge.providers.spec import KindSpec
from bridge.services.accounts.budget_view import plan_bucket
from bridge.services.accounts.pause import report_responses
from bridge.services.accounts.rate_budget import make_report
from bridge.services.context import Services
from bridge.store.tables.accounts import Account

FRESH_S = 1.0  # before the scale: for so long one read serves all looks
RETRY_S = 10.0  # before the scale: after an outage
DAY_MS = 86_400_000
T = TypeVar("T", bound=ListAnswer | PollAnswer)
R = TypeVar("R")


class NotReadNow(Exception):
    """The account's rate budget grants no request, or the provider answered something else than what was asked for."""

    def __init__(self, wait_ms: int = 0, *, was_asked: bool = True) -> None:
        """Take the milliseconds after which to ask again, 0 if the provider would only answer the same.

        `was_asked`: a request went to the provider.
        """
        super().__init__()
        self.wait_ms = wait_ms
        self.was_asked = was_asked


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, and how much later than the store's clock the provider's runs."""

    rows: Rows
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class AccountReads:
    """Reads lists and jobs of one account."""

    services: Services
    login: Login
    bucket: Bucket

    @classmethod
    async def open(cls, services: Services, account: Account, kind: KindSpec) -> "AccountReads":
        """Return a reader for what counts under the same limit as jobs of a kind."""
        login = await services.login(account)
        return cls(services, login, plan_bucket(services, account.id, login, kind.limit))

    async def read_jobs(self, kind: KindSpec, path: str, *, offset: int = 0) -> Page:
        """Return a page of jobs; raise NotReadNow."""
        services = self.services

        def read() -> Awaitable[ListAnswer]:
            return services.upstream.read_list(
                self.login, kind, path, offset=offset, now_ms=services.clock_ms()
            )

        return await self._share((path, offset), lambda: self._read_page(read))

    async def read_others(self, path: str) -> Page:
        """Return the first page of a list of something else; raise NotReadNow."""
        services = self.services

        def read() -> Awaitable[ListAnswer]:
            return services.upstream.read_rows(self.login, path, now_ms=services.clock_ms())

        return await self._share((path,), lambda: self._read_page(read))

    async def read_optional(self, path: str) -> Page | None:
        """Return the first page of a list that need not exist, or that the key need not be allowed to read.

        None if it was refused in the last day, which only this process remembers. Raise NotReadNow.
        """

        async def is_there() -> bool:
            try:
                await self.read_others(path)
            except NotReadNow as wait:
                if wait.wait_ms:
                    raise
                return False
            return True

        name = ("starts", self.bucket.account, path, "is there")
        now_ms = self.services.clock_ms()
        if not await self.services.shared_reads.get(name, is_there, now_ms=now_ms, fresh_ms=DAY_MS):
            return None
        try:
            return await self.read_others(path)
        except NotReadNow as wait:
            if wait.wait_ms:
                raise
            return None

    async def read_job(self, kind: KindSpec, job_id: str) -> Observation:
        """Return a job as it is; raise NotReadNow."""
        services = self.services

        async def observe() -> Observation:
            answer = await self._read(
                lambda: services.upstream.read(self.login, kind, job_id, now_ms=services.clock_ms())
            )
            if not isinstance(answer.result, Observed):
                raise self._explain(answer.result)
            return answer.result.observation

        return await self._share((kind.name, job_id, ""), observe)

    async def _share(self, key: tuple[str | int, ...], read: Callable[[], Coroutine[Any, Any, R]]) -> R:
        name: Hashable = ("starts", self.bucket.account, *key)
        fresh_ms = self.services.time_scale.ms(FRESH_S)
        return await self.services.shared_reads.get(
            name, read, now_ms=self.services.clock_ms(), fresh_ms=fresh_ms
        )

    async def _read_page(self, read: Callable[[], Awaitable[ListAnswer]]) -> Page:
        answer = await self._read(read)
        if not isinstance(answer.result, Rows):
            raise self._explain(answer.result)
        return Page(answer.result, 0 if answer.date_ms is None else answer.date_ms - self.services.clock_ms())

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        grant = await self.services.store.budgets.spend(
            self.bucket.account, self.bucket.limit, [Purpose.CONFIRM]
        )
        if not grant.requests:
            raise NotReadNow(max(1, grant.wait_ms), was_asked=False)
        answer = await read()
        report = make_report(grant.requests[0], answer.rate, answer.result)
        await report_responses(self.services, {self.bucket: [report]})
        return answer

    def _explain(self, result: PollResult) -> NotReadNow:
        match result:
            case Throttled(until_ms=until_ms):
                return NotReadNow(max(1, until_ms - self.services.clock_ms()))
            case UpstreamBroken() | UpstreamBusy():
                return NotReadNow(self.services.time_scale.ms(RETRY_S))
        return NotReadNow()
