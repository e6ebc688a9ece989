"""What all processes have counted, and what is in trouble now, as metrics that are read from the store at each scrape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bridge.domain.deliveries.retry import Verdict
from bridge.domain.lags import BOUNDS_S
from bridge.services.context import Services
from bridge.store.dashboard.tallies import read_lags

MAX_PROJECTS = 500  # whose deliveries in trouble are counted at a scrape
REPAIRS = ("polls", "deliveries", "listed")


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyState:
    """`totals` are those of `Tallies`; `troubles` the deliveries that are parked and failing."""

    totals: Mapping[str, int]
    troubles: Mapping[str, int]


class _Tallies(Collector):
    def __init__(self, state: TallyState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; Prometheus' client calls this at each scrape."""
        totals = dict(self._state.totals)
        yield _histogram(
            "reelbridge_detection_lag_seconds",
            "Longest time that an ending can have waited to be seen.",
            totals,
            "d",
        )
        yield _histogram(
            "reelbridge_delivery_lag_seconds",
            "Time from an event to the end of its first attempt.",
            totals,
            "s",
        )
        attempts = CounterMetricFamily(
            "reelbridge_attempts", "Attempts of deliveries, by what followed.", labels=["verdict"]
        )
        for verdict in Verdict:
            attempts.add_metric([verdict.value], totals.get(f"attempts:{verdict.value}", 0))
        yield attempts
        yield CounterMetricFamily(
            "reelbridge_parked", "Deliveries that were given up.", value=totals.get("parked", 0)
        )
        repairs = CounterMetricFamily(
            "reelbridge_repairs", "Items that the sweep had to put right.", labels=["what"]
        )
        for what in REPAIRS:
            repairs.add_metric([what], totals.get(f"repairs:{what}", 0))
        yield repairs
        trouble = GaugeMetricFamily(
            "reelbridge_deliveries_in_trouble", "Deliveries that wait for a person or fail.", labels=["state"]
        )
        for state, number in self._state.troubles.items():
            trouble.add_metric([state], number)
        yield trouble


def _histogram(name: str, what: str, totals: dict[str, int], letter: str) -> Metric:
    counts, buckets, seen = read_lags(totals, letter), list[tuple[str, float]](), 0
    for number, bound in enumerate(BOUNDS_S):
        seen += counts.get(number, 0)
        buckets.append((str(bound), seen))
    buckets.append(("+Inf", seen + counts.get(len(BOUNDS_S), 0)))
    family = HistogramMetricFamily(name, what)
    family.add_metric([], buckets, sum_value=totals.get(f"{letter}:ms", 0) / 1000)
    return family


async def load_tallies(services: Services) -> TallyState:
    """Return the sums over all processes, and what is in trouble in the installation's first projects."""
    projects = [each.id for each in await services.store.projects.list()]
    return TallyState(
        totals=await services.store.tallies.read_totals(),
        troubles=await services.store.troubles.count_all(projects[:MAX_PROJECTS]),
    )


def render_tallies(state: TallyState) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Tallies(state))
    return generate_latest(registry)
