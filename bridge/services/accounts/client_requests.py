"""Requests that clients send through the bridge, as the budgets of their accounts see them."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from bridge.config.log import get_logger
from bridge.domain.polling.rate_limit import Bucket, RateReport
from bridge.http.upstream import Login
from bridge.providers.rate import read_quiet_until_ms, read_rate
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.budget_view import plan_bucket
from bridge.services.accounts.pause import report_responses
from bridge.services.context import Services
from bridge.store.errors import STORE_ERRORS

GATHER_S = 0.05
MAX_BUCKETS = 10_000
log = get_logger("bridge.proxy")


class _Place(Struct, frozen=True):
    account: str
    version: int
    limit: str


class _Answer(Struct, frozen=True, kw_only=True):
    status: int
    headers: Mapping[str, str]
    at_ms: int
    quiet_ms: int | None


def _read_quiet_ms(status: int, headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return until when an account must pause after an answer, None where nothing says that its own limit is reached.

    A 429 that is no JSON is an edge's, which limits addresses: the bridge finds out with its own next read.
    """
    if status != 429 or "json" not in headers.get("content-type", "").lower():
        return None
    return read_quiet_until_ms(headers, None, now_ms=now_ms)


def _read_report(answer: _Answer) -> RateReport | None:
    rate = read_rate(headers=answer.headers, body=b"", http_status=answer.status, now_ms=answer.at_ms)
    if rate.remaining is None and answer.quiet_ms is None:
        return None
    return RateReport(
        limit=rate.limit, remaining=rate.remaining, reset_ms=rate.reset_ms, quiet_ms=answer.quiet_ms
    )


class ClientRequests:
    """Counts clients' requests, and reports what the answers say of the limit.

    Nothing waits for it: what is counted within 50 ms goes to the store together. What the store does not take is lost;
    the next answer's headers tell it again.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sent: Counter[Bucket] = Counter()
        self._answers: dict[Bucket, _Answer] = {}
        self._buckets: dict[_Place, Bucket] = {}
        self._sending: asyncio.Task[None] | None = None

    def count(self, account: str, version: int, login: Login, path: str) -> Bucket | None:
        """Count a request that goes out now; return the limit that it counts under, None if no job's read does."""
        name = PROVIDERS[login.provider].limit_at(path)
        if name is None:
            return None
        place = _Place(account, version, name)
        bucket = self._buckets.get(place)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[place] = plan_bucket(self._services, account, login, name)
        self._sent[bucket] += 1
        self._send_soon()
        return bucket

    def report(self, bucket: Bucket, status: int, headers: Mapping[str, str]) -> None:
        """Report the rate headers of an answer; of those that come within 50 ms the last one tells enough.

        After a 429 of the provider's own the account pauses, whatever comes behind it.
        """
        now_ms, before = self._services.clock_ms(), self._answers.get(bucket)
        quiet_ms = _read_quiet_ms(status, headers, now_ms)
        if before is not None and before.quiet_ms is not None:
            quiet_ms = max(quiet_ms or 0, before.quiet_ms)
        self._answers[bucket] = _Answer(status=status, headers=headers, at_ms=now_ms, quiet_ms=quiet_ms)
        self._send_soon()

    async def close(self) -> None:
        """Send what is left."""
        if self._sending is not None:
            await self._sending

    def _send_soon(self) -> None:
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        await asyncio.sleep(GATHER_S)
        self._sending = None
        sent, self._sent = self._sent, Counter()
        answers, self._answers = self._answers, {}
        reports = {bucket: (said,) for bucket, each in answers.items() if (said := _read_report(each))}
        try:
            if sent:
                counts = [(bucket.account, bucket.limit, number) for bucket, number in sent.items()]
                await self._services.store.budgets.debit_many(counts)
            if reports:
                await report_responses(self._services, reports)
        except STORE_ERRORS as error:
            log.warning("budget.not_told", accounts=len(sent | reports.keys()), error=type(error).__name__)
