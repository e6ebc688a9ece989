"""Spending an account's budget: what may go out now, and what answers said of what is left."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from bridge.domain.observation import RateHeaders, Throttled, UpstreamBroken
from bridge.domain.polling.rate_limit import Grant, Limit, Purpose, RateReport
from bridge.providers.registry import KINDS
from bridge.services.accounts.budget_view import plan_limit
from bridge.services.accounts.credentials import Credentials
from bridge.services.context import Services
from bridge.store.tables.rate_budgets import MOST_OPEN, Ask

TELL_S = 0.02  # what answers say is gathered for so long, unless a request is asked for sooner
FEW_OPEN = 2  # requests in flight of an account whose upstream let the last one hang
HANGS_MS = 5_000  # without an answer
UNTOLD = 2  # times as many are open to the budget: it hears of an answer a little later
MAX_BUCKETS = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit of one account."""

    account: str
    limit: Limit


def record_response(
    request: str, rate: RateHeaders, result: object, *, shared: int = 0, batched: int = 0
) -> RateReport:
    """Put down what the answer to a request says of the limit; `request` is empty for a call of the client's."""
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
    """The budgets of accounts as one worker uses them."""

    def __init__(self, services: Services, credentials: Credentials) -> None:
        self._services = services
        self._credentials = credentials
        self._reports: dict[Bucket, list[RateReport]] = defaultdict(list)
        self._silent: set[str] = set()
        self._purses: dict[tuple[str, int, str], Bucket] = {}
        self._telling: asyncio.Task[None] | None = None

    async def bucket(self, account: str, version: int, kind: str) -> Bucket:
        """Give the limit that a kind's reads count under; KeyError for an account that is gone."""
        known = self._purses.get((account, version, KINDS[kind].limit))
        if known is not None:
            return known
        login = await self._credentials.get(account, version)
        limit = plan_limit(self._services, login.provider, login.credential, KINDS[kind].limit)
        if len(self._purses) >= MAX_BUCKETS:
            self._purses.clear()
        bucket = self._purses[account, version, limit.name] = Bucket(account, limit)
        return bucket

    def room(self, account: str) -> int:
        """Give how many requests of an account may be in flight: few while its upstream does not answer."""
        return FEW_OPEN if account in self._silent else MOST_OPEN

    async def ask(self, asked: Sequence[tuple[Bucket, Sequence[Purpose], int | None]]) -> list[Grant]:
        """Ask for requests, (purse, purposes in order of worth, turn in ms) each; a prefix of each is granted."""
        return await self._services.store.budgets.spend_many(
            [
                Ask(
                    account=bucket.account,
                    limit=bucket.limit,
                    wanted=wanted,
                    reports=self._reports.pop(bucket, ()),
                    most_open=UNTOLD * self.room(bucket.account),
                    turn_ms=turn_ms,
                )
                for bucket, wanted, turn_ms in asked
            ]
        )

    def record_response(
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
        """Note what the answer to a request said, and whether the upstream hangs."""
        hangs = isinstance(result, UpstreamBroken) and took_ms >= HANGS_MS
        (self._silent.add if hangs else self._silent.discard)(bucket.account)
        self._reports[bucket].append(record_response(request, rate, result, shared=shared, batched=batched))
        self._tell()

    def give_back(self, bucket: Bucket, request: str) -> None:
        """Note that a request that was granted never went out; it counts as spent all the same."""
        self._reports[bucket].append(RateReport(request=request))
        self._tell()

    def _tell(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_soon())

    async def _tell_soon(self) -> None:
        await asyncio.sleep(TELL_S)
        self._telling = None
        reports, self._reports = self._reports, defaultdict(list)
        asked = [
            Ask(account=bucket.account, limit=bucket.limit, reports=said) for bucket, said in reports.items()
        ]
        try:
            await self._services.store.budgets.spend_many(asked)
        except (RedisError, OSError) as error:
            # What was open is taken for lost in a while, and the next answer tells the rest.
            log.warning("budget.not_told", accounts=len(asked), error=type(error).__name__)
