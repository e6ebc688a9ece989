"""How far the queues are behind, and who works on them, as metrics that are read from the store at each scrape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.services.context import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """`lag_s` is how long the lane that is most overdue waits for a worker, by queue: "poll" and "deliver".

    0 while every lane is asleep: behind a rate limit, after a failure, or because nothing is due.
    """

    lag_s: Mapping[str, float]
    workers: int


class _Queues(Collector):
    def __init__(self, state: QueueState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; Prometheus' client calls this at each scrape."""
        lag = GaugeMetricFamily(
            "reelbridge_schedule_lag_seconds",
            "How long what is due has waited for a worker.",
            labels=["queue"],
        )
        for queue, seconds in self._state.lag_s.items():
            lag.add_metric([queue], seconds)
        yield lag
        yield GaugeMetricFamily(
            "reelbridge_workers", "Workers with a recent heartbeat.", value=self._state.workers
        )


async def load_queues(services: Services) -> QueueState:
    """Return the state of the queues by the store's clock."""
    store = services.store
    polls, deliveries = await store.poll.peek(limit=1), await store.dlv.peek(limit=1)
    now_ms = await store.time_ms()
    return QueueState(
        lag_s={
            queue: max(0, now_ms - lanes[0][2]) / 1000 if lanes else 0.0
            for queue, lanes in (("poll", polls), ("deliver", deliveries))
        },
        workers=await store.heartbeats.count(now_ms),
    )


def render_queues(state: QueueState) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Queues(state))
    return generate_latest(registry)
