"""Spending an account's budget: what may go out now, and what answers said of what is left."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import structlog
from msgspec import Struct

from bridge.domain.observation import RateHeaders, Throttled, UpstreamBroken
from bridge.domain.polling.rate_limit import Bucket, Grant, Purpose, RateReport
from bridge.domain.polling.rate_reports import GatheredReports
from bridge.providers.registry import KINDS
from bridge.services.accounts.budget_view import plan_bucket
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.pause import report_responses
from bridge.services.context import Services
from bridge.store.errors import STORE_ERRORS
from bridge.store.tables.rate_budgets import MAX_OPEN, Ask

REPORT_DELAY_S = 0.05  # reports are gathered for so long, unless a request is asked for sooner
SILENT_MS = 5_000  # a request that failed after so long counts as one that the upstream let hang
# The budget hears of an answer a little later: it may count this many times the requests that are really in flight.
UNREPORTED_FACTOR = 2
MAX_BUCKETS = 10_000

log = structlog.get_logger()


class BudgetRequest(Struct, frozen=True, kw_only=True, gc=False):
    """Requests that an account wants, the most wanted first.

    `turn_ms` is how long a job waits for its turn at present, shown to people; None leaves what is shown as it is.
    """

    bucket: Bucket
    wanted: Sequence[Purpose]
    turn_ms: int | None = None


def make_report(
    request: str, rate: RateHeaders, result: object, *, shared: int = 0, batched: int = 0
) -> RateReport:
    """Return what the answer to a request says of the limit; `request` is empty where no budget granted it."""
    return RateReport(
        request=request,
        limit=rate.limit,
        remaining=rate.remaining,
        reset_ms=rate.reset_ms,
        quiet_ms=result.until_ms if isinstance(result, Throttled) else None,
        shared=shared,
        batched=batched,
    )


class RateBudget:
    """The budgets of accounts as one worker uses them.

    Reports of answers are gathered and sent together, or with the next request for more. A 429 is reported at once.
    """

    def __init__(self, services: Services, credentials: Credentials) -> None:
        self._services = services
        self._credentials = credentials
        self._reports: dict[Bucket, GatheredReports] = defaultdict(GatheredReports)
        self._silent: set[str] = set()  # accounts whose upstream let the last request hang
        self._buckets: dict[tuple[str, int, str], Bucket] = {}
        self._sending: asyncio.Task[None] | None = None

    async def bucket(self, account: str, version: int, kind: str) -> Bucket:
        """Return the limit that a kind's reads count under; raise KeyError for an account that is gone."""
        known = self.find_bucket(account, version, kind)
        if known is not None:
            return known
        place = (account, version, KINDS[kind].limit)
        login = await self._credentials.get(account, version)
        bucket = plan_bucket(self._services, account, login, KINDS[kind].limit)
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.clear()
        self._buckets[place] = bucket
        return bucket

    def find_bucket(self, account: str, version: int, kind: str) -> Bucket | None:
        """Return what `bucket` has returned before, None where it was not asked."""
        return self._buckets.get((account, version, KINDS[kind].limit))

    def is_silent(self, account: str) -> bool:
        """Return whether the upstream let the account's last request hang."""
        return account in self._silent

    async def ask(self, requests: Sequence[BudgetRequest]) -> list[Grant]:
        """Ask for requests; of each account's the first ones are granted, as many as its budget has."""
        return await self._services.store.budgets.spend_many(
            [
                Ask(
                    account=each.bucket.account,
                    limit=each.bucket.limit,
                    wanted=each.wanted,
                    reports=self._take_reports(each.bucket),
                    max_open=UNREPORTED_FACTOR * MAX_OPEN,
                    turn_ms=each.turn_ms,
                )
                for each in requests
            ]
        )

    async def record_response(
        self,
        bucket: Bucket,
        request: str,
        rate: RateHeaders,
        result: object,
        *,
        took_ms: int,
        shared: int = 0,
        batched: int = 0,
    ) -> None:
        """Record what the answer to a request said of the limit, and whether the upstream let it hang.

        `request` is empty where no budget granted it. After a 429 the account's pause is in force on return.
        """
        if not isinstance(result, Throttled):
            self.note_response(bucket, request, rate, result, took_ms=took_ms, shared=shared, batched=batched)
            return
        self._silent.discard(bucket.account)
        self._reports[bucket].add(make_report(request, rate, result, shared=shared, batched=batched))
        await self._send_now(bucket)

    def note_response(
        self,
        bucket: Bucket,
        request: str,
        rate: RateHeaders,
        result: object,
        *,
        took_ms: int,
        shared: int = 0,
        batched: int = 0,
    ) -> None:
        """Do the same for any answer but a 429, for which there is nothing to wait for."""
        hangs = isinstance(result, UpstreamBroken) and took_ms >= SILENT_MS
        (self._silent.add if hangs else self._silent.discard)(bucket.account)
        self._reports[bucket].note(request, rate, shared=shared, batched=batched)
        self._send_soon()

    def give_back(self, bucket: Bucket, request: str) -> None:
        """Record that a request that was granted never went out; it counts as spent all the same."""
        self._reports[bucket].add(RateReport(request=request))
        self._send_soon()

    async def _send_now(self, bucket: Bucket) -> None:
        reports = self._take_reports(bucket)
        try:
            await report_responses(self._services, {bucket: reports})
        except STORE_ERRORS:
            # A pause must not get lost: it is sent again, though what it counts may then count twice.
            self._reports[bucket].put_back(reports)
            self._send_soon()
            raise

    def _take_reports(self, bucket: Bucket) -> list[RateReport]:
        gathered = self._reports.pop(bucket, None)
        return gathered.take() if gathered is not None else []

    def _send_soon(self) -> None:
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        await asyncio.sleep(REPORT_DELAY_S)
        self._sending = None
        reports = {bucket: gathered.take() for bucket, gathered in self._reports.items()}
        self._reports.clear()
        try:
            await report_responses(self._services, reports)
        except STORE_ERRORS as error:
            # Requests without an answer are taken for lost after a while, and the next answer tells the rest.
            log.warning("budget.not_told", accounts=len(reports), error=type(error).__name__)
