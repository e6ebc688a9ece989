"""Spans hold ids and kinds; nothing of an error but its type; and without OpenTelemetry the bridge says so and goes on."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from bridge.config.tracing import ENDPOINTS, NO_TRACING, OtelTracing, open_tracing

SECRET = "https://receiver.example.test/?token=hidden"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> OtelTracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OtelTracing(provider)


def test_an_error_goes_into_a_span_by_its_type_alone(
    tracing: OtelTracing, exporter: InMemorySpanExporter
) -> None:
    def fail() -> None:
        with tracing.span("deliver", delivery="dlv_a1") as note:
            note(status=503, failure=None)
            raise ValueError(SECRET)

    with pytest.raises(ValueError, match="hidden"):
        fail()
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"reelbridge.delivery": "dlv_a1", "http.response.status_code": 503}
    assert span.status.description == "ValueError"
    assert span.events == ()
    assert "hidden" not in span.to_json()


def test_spans_within_spans_belong_to_one_trace(tracing: OtelTracing, exporter: InMemorySpanExporter) -> None:
    with tracing.span("outer"), tracing.span("inner"):
        pass
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_what_is_not_installed_is_named_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    async with open_tracing("x") as tracing:
        assert tracing is NO_TRACING
    monkeypatch.setenv(endpoint, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as lines:
        async with open_tracing("x") as tracing:
            assert tracing is NO_TRACING
    assert "reelbridge[otel]" in lines[0]["fix"]


async def test_it_can_be_switched_off_by_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with open_tracing("x") as tracing:
        assert tracing is NO_TRACING
