"""Rate budgets as metrics, read from the store at each scrape, so that one API process reports for all workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.domain.polling.rate_limit import BudgetView, Purpose
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.budget_view import count_watched, documented_limit
from bridge.services.context import Services
from bridge.store.tables.accounts import Account

ACCOUNTS_AT_ONCE = 100  # in one round trip; other requests come between
MAX_ACCOUNTS = 500  # bounds the number of time series: the account is a label


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBudget:
    """One account's budget. Only the account's id becomes a label, since its name might be confidential."""

    account: Account
    budget: BudgetView
    watched: int

    @property
    def labels(self) -> list[str]:
        """The values of LABELS."""
        return [self.account.provider, self.account.id]


class _Budgets(Collector):
    def __init__(self, shown: Sequence[AccountBudget]) -> None:
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; Prometheus' client calls this at each scrape."""
        yield self._gauge("limit", "Requests that fit into a window.", [s.budget.limit for s in self._shown])
        left = [(s, s.budget.remaining) for s in self._shown if s.budget.remaining is not None]
        yield _fill(
            GaugeMetricFamily("reelbridge_budget_remaining", "Requests left in this window.", labels=LABELS),
            [(s.labels, remaining) for s, remaining in left],
        )
        yield self._gauge(
            "share", "Part of the limit that is always ours.", [s.budget.share for s in self._shown]
        )
        yield self._gauge("watched_jobs", "Jobs that share it.", [s.watched for s in self._shown])
        yield self._gauge(
            "pace_seconds", "Time a request takes now.", [s.budget.ms_per_request / 1000 for s in self._shown]
        )
        yield self._gauge(
            "expected_delay_seconds",
            "How long a job waits for its turn on average.",
            [s.budget.expected_delay_s(s.watched) for s in self._shown],
        )
        spent = CounterMetricFamily("reelbridge_budget_spent", "Requests spent.", labels=[*LABELS, "purpose"])
        saved = CounterMetricFamily("reelbridge_budget_saved", "Requests saved.", labels=[*LABELS, "by"])
        refused = CounterMetricFamily("reelbridge_budget_refused", "Answers with 429.", labels=LABELS)
        for each in self._shown:
            for purpose in Purpose:
                spent.add_metric([*each.labels, purpose.value], each.budget.spent[purpose])
            saved.add_metric([*each.labels, "coalescing"], each.budget.shared)
            saved.add_metric([*each.labels, "batching"], each.budget.batched)
            refused.add_metric(each.labels, each.budget.limited)
        yield from (spent, saved, refused)

    def _gauge(self, name: str, what: str, values: Sequence[float]) -> Metric:
        family = GaugeMetricFamily(f"reelbridge_budget_{name}", what, labels=LABELS)
        return _fill(family, [(s.labels, value) for s, value in zip(self._shown, values, strict=True)])


LABELS = ["provider", "account"]


def _fill(family: GaugeMetricFamily, values: Sequence[tuple[list[str], float]]) -> GaugeMetricFamily:
    for labels, value in values:
        family.add_metric(labels, value)
    return family


async def load_budgets(services: Services) -> list[AccountBudget]:
    """Return the budgets of the installation's first MAX_ACCOUNTS accounts."""
    known = [each for each in await services.store.accounts.all() if each.provider in PROVIDERS]
    shown: list[AccountBudget] = []
    for at in range(0, min(len(known), MAX_ACCOUNTS), ACCOUNTS_AT_ONCE):
        some = known[at : at + ACCOUNTS_AT_ONCE]
        asked = [(each.id, documented_limit(services, each.provider)) for each in some]
        budgets = await services.store.budgets.view_many(asked, now_ms=services.clock_ms())
        watched = await count_watched(services, some)
        shown += [
            AccountBudget(account=account, budget=budget, watched=watched[account.id])
            for account, budget in zip(some, budgets, strict=True)
        ]
    return shown


def render_budgets(shown: Sequence[AccountBudget]) -> bytes:
    """Return budgets in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Budgets(shown))
    return generate_latest(registry)
