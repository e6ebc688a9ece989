"""Read an account's lists for evidence, each page as a request of the account's rate budget."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.domain.polling.rate_limit import Bucket, Purpose
from bridge.http.upstream import ListAnswer, Login
from bridge.providers.lists import Rows
from bridge.providers.spec import KindSpec
from bridge.services.accounts.budget_view import plan_bucket
from bridge.services.accounts.pause import report_responses
from bridge.services.accounts.rate_budget import make_report
from bridge.services.context import Services
from bridge.store.tables.accounts import Account


class NotReadNow(Exception):
    """The account's rate budget grants no request, or the provider answered without rows."""

    def __init__(self, wait_ms: int = 0) -> None:
        """Take the milliseconds to wait for the budget, 0 if it was not the budget."""
        super().__init__()
        self.wait_ms = wait_ms


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, and how much later than the store's clock the provider's runs."""

    rows: Rows
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class AccountLists:
    """Reads lists of one account."""

    services: Services
    login: Login
    bucket: Bucket

    @classmethod
    async def open(cls, services: Services, account: Account, kind: KindSpec) -> "AccountLists":
        """Return a reader of lists of jobs of a kind."""
        login = await services.login(account)
        return cls(services, login, plan_bucket(services, account.id, login, kind.name))

    async def read_jobs(self, kind: KindSpec, path: str, *, offset: int = 0) -> Page:
        """Return a page of jobs; raise NotReadNow."""
        services = self.services

        def read() -> Awaitable[ListAnswer]:
            return services.upstream.read_list(
                self.login, kind, path, offset=offset, now_ms=services.clock_ms()
            )

        return await self._read(read)

    async def read_others(self, path: str) -> Page:
        """Return the first page of a list of something else; raise NotReadNow."""
        return await self._read(
            lambda: self.services.upstream.read_rows(self.login, path, now_ms=self.services.clock_ms())
        )

    async def _read(self, read: Callable[[], Awaitable[ListAnswer]]) -> Page:
        grant = await self.services.store.budgets.spend(
            self.bucket.account, self.bucket.limit, [Purpose.CONFIRM]
        )
        if not grant.requests:
            raise NotReadNow(max(1, grant.wait_ms))
        answer = await read()
        now_ms = self.services.clock_ms()
        report = make_report(grant.requests[0], answer.rate, answer.result)
        await report_responses(self.services, {self.bucket: [report]})
        if not isinstance(answer.result, Rows):
            raise NotReadNow
        return Page(answer.result, 0 if answer.date_ms is None else answer.date_ms - now_ms)
