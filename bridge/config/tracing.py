"""Traces of requests, polls and attempts by OpenTelemetry, if it is installed (`reelbridge[otel]`) and told where to send them.

Spans are made here and nowhere else, by hand: no library is instrumented, so no request of the bridge carries a trace, least
of all those to receivers. Names and attributes are ids, kinds and statuses; errors go in by their type alone.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Value = str | int | float | bool
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSE_S: Final = 5.0  # for what was not sent yet, when a process ends
# Attributes that OpenTelemetry has names for; all others are the bridge's own.
_HTTP: Final = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
}
log = structlog.get_logger()


class Note(Protocol):
    """Adds attributes to a span; None is left out."""

    def __call__(self, **attributes: Value | None) -> None:
        """Add them."""


class Tracing(Protocol):
    """Makes spans."""

    @property
    def is_on(self) -> bool:
        """Whether anyone gets them; who makes one for each attempt asks, since even one for nobody takes a microsecond."""

    def span(
        self, name: str, *, headers: Mapping[str, str] | None = None, **attributes: Value | None
    ) -> AbstractContextManager[Note]:
        """Return a span around a block, and what adds attributes to it.

        With `headers` it is that of a request that came in, and goes on with the trace that they name.
        """


def _ignore(**_: Value | None) -> None:
    return None


class NoTracing:
    """Makes none."""

    is_on = False

    def __init__(self) -> None:
        """Make the one block that stands for all."""
        self._block = nullcontext[Note](_ignore)

    def span(
        self, name: str, *, headers: Mapping[str, str] | None = None, **attributes: Value | None
    ) -> AbstractContextManager[Note]:
        """Return a block that does nothing."""
        del name, headers, attributes
        return self._block


NO_TRACING: Final = NoTracing()


class OtelTracing:
    """Makes spans with OpenTelemetry's SDK."""

    is_on = True

    def __init__(self, provider: "TracerProvider") -> None:
        """Take what exports them."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 -- an extra

        self._tracer = provider.get_tracer("reelbridge")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, *, headers: Mapping[str, str] | None = None, **attributes: Value | None
    ) -> Iterator[Note]:
        """Return a span around a block; see `Tracing`."""
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 -- an extra

        parent = None if headers is None else self._propagator.extract(dict(headers))
        kind = SpanKind.INTERNAL if headers is None else SpanKind.SERVER
        with self._tracer.start_as_current_span(
            name, context=parent, kind=kind, record_exception=False, set_status_on_exception=False
        ) as span:

            def note(**more: Value | None) -> None:
                for key, value in more.items():
                    if value is not None:
                        span.set_attribute(_HTTP.get(key, f"reelbridge.{key}"), value)

            note(**attributes)
            try:
                yield note
            except Exception as error:  # its text may hold what no trace must
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise


def _make_provider(service: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@asynccontextmanager
async def open_tracing(service: str) -> AsyncIterator[Tracing]:
    """Yield what makes spans, as the variables of OpenTelemetry say; send what is left at the end, within a bound."""
    wanted = any(os.environ.get(name) for name in ENDPOINTS)
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield NO_TRACING
        return
    try:
        provider = _make_provider(service)
    except ImportError:
        log.warning(
            "start.no_tracing", reason="OpenTelemetry is not installed", fix="pip install 'reelbridge[otel]'"
        )
        yield NO_TRACING
        return
    try:
        yield OtelTracing(provider)
    finally:
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.to_thread(provider.shutdown)
        except TimeoutError:
            log.warning("stop.traces_lost", reason="their collector does not answer")
