"""Counters of the API in Prometheus' text format; labels are path templates, never ids."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one API process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Use a registry of its own instead of the global one, so that tests can run several applications."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "reelbridge_http_requests_total",
            "Answered requests.",
            ["path", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "reelbridge_http_request_seconds", "Time to answer.", ["path", "method"], registry=self._registry
        )
        self._registrations = Counter(
            "reelbridge_registrations_total",
            "Callbacks registered or updated.",
            ["kind"],
            registry=self._registry,
        )
        self._proxied = Counter(
            "reelbridge_proxied_requests_total",
            "Answers to requests to a provider that passed through, and the bridge's own answers to such requests.",
            ["provider", "status", "by"],
            registry=self._registry,
        )

        # Looking for the counter of some labels takes longer than counting.
        self._kinds: dict[str, Counter] = {}
        self._passed: dict[tuple[str, int, str], Counter] = {}
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count an answer; `path` is the route's pattern."""
        counters = self._counters.get((path, method, status))
        if counters is None:
            known = method if method in METHODS else "other"
            counters = self._requests.labels(path, known, str(status)), self._seconds.labels(path, known)
            if known == method:  # so that there are few of them
                self._counters[path, method, status] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def count_registrations(self, kind: str, number: int) -> None:
        """Count registered callbacks."""
        counter = self._kinds.get(kind)
        if counter is None:
            counter = self._kinds[kind] = self._registrations.labels(kind)
        counter.inc(number)

    def count_proxied(self, provider: str, status: int, *, by: Literal["provider", "bridge"]) -> None:
        """Count an answer to a proxied request, and by whom it is."""
        counter = self._passed.get((provider, status, by))
        if counter is None:
            known = str(status) if 100 <= status < 600 else "other"
            counter = self._proxied.labels(provider, known, by)
            if known != "other":  # so that there are few of them
                self._passed[provider, status, by] = counter
        counter.inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
