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

    0 while every lane is asleep: behind a rate limit, after a failure, or because nothing is due. `lanes` counts those with
    items, `asleep` those of them that are kept asleep whatever is due.
    """

    lag_s: Mapping[str, float]
    lanes: Mapping[str, int]
    asleep: Mapping[str, int]
    workers: int
    apis: int
    beat_age_s: float | None  # of the worker that was heard last, None: there is none
    open_breakers: int


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
        lanes = GaugeMetricFamily("reelbridge_lanes", "Lanes with something in them.", labels=["queue"])
        asleep = GaugeMetricFamily(
            "reelbridge_lanes_asleep",
            "Lanes that a rate limit or a failure keeps asleep.",
            labels=["queue"],
        )
        for family, counts in ((lanes, self._state.lanes), (asleep, self._state.asleep)):
            for queue, number in counts.items():
                family.add_metric([queue], number)
            yield family
        yield GaugeMetricFamily(
            "reelbridge_workers", "Workers with a recent heartbeat.", value=self._state.workers
        )
        yield GaugeMetricFamily(
            "reelbridge_apis", "API processes with a recent heartbeat.", value=self._state.apis
        )
        age = GaugeMetricFamily(
            "reelbridge_worker_heartbeat_age_seconds", "Time since the last heartbeat of any worker."
        )
        if self._state.beat_age_s is not None:
            age.add_metric([], self._state.beat_age_s)
        yield age
        yield GaugeMetricFamily(
            "reelbridge_open_breakers",
            "URLs to which nothing is sent but one attempt now and then, as they fail.",
            value=self._state.open_breakers,
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
        lanes={"poll": await store.poll.count_lanes(), "deliver": await store.dlv.count_lanes()},
        asleep={"poll": await store.poll.count_asleep(), "deliver": await store.dlv.count_asleep()},
        workers=await store.heartbeats.count(now_ms),
        apis=await store.api_heartbeats.count(now_ms),
        beat_age_s=await _age_s(services, now_ms),
        open_breakers=await store.breakers.count_open(),
    )


async def _age_s(services: Services, now_ms: int) -> float | None:
    last_ms = await services.store.heartbeats.newest_ms()
    return None if last_ms is None else max(0, now_ms - last_ms) / 1000


def render_queues(state: QueueState) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Queues(state))
    return generate_latest(registry)
