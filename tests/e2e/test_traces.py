"""Traces by OpenTelemetry: sent where its variables say, by every process, and to receivers never."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.processes import Receiver, Simulator, running_bridge, until

pytestmark = pytest.mark.slow
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass
class Collector:
    """An OTLP receiver: what it got, as (service, span's name, trace, attributes)."""

    url: str = ""
    got: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            (service,) = [
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            ]
            for span in (each for scope in resource.scope_spans for each in scope.spans):
                values = {
                    each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes
                }
                self.got.append((service, span.name, span.trace_id.hex(), values))
        return web.Response(content_type="application/x-protobuf")

    def find(self, service: str, name: str, **attributes: str) -> list[tuple[str, dict[str, str]]]:
        return [
            (trace, values)
            for each, span, trace, values in self.got
            if (each, span) == (service, name) and attributes.items() <= values.items()
        ]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application(client_max_size=10 << 20)
    app.router.add_post("/v1/traces", made.take)
    async with TestServer(app) as server:
        made.url = str(server.make_url(""))
        yield made


async def test_a_registration_a_poll_and_an_attempt_are_traced(
    simulator: Simulator, receiver: Receiver, collector: Collector, tmp_path: Path
) -> None:
    """A client's trace goes on in the API; spans hold ids and no secret; a receiver gets no trace."""
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    job = await simulator.make("sync_job", set={"status": "completed"})
    with running_bridge(simulator, tmp_path, **exporting) as bridge:
        url = receiver.url + "/traced?token=hidden"
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        fields = {"kind": "sync_job", "id": job, "callback_url": url}
        status, made = await bridge.call("POST", "/v1/callbacks", fields, headers=headers)
        assert status == 201
        (got,) = await receiver.wait("/traced?token=hidden")

        async def is_traced() -> bool:
            return bool(collector.find("reelbridge-worker", "deliver")) and bool(
                collector.find("reelbridge-api", "POST /v1/callbacks")
            )

        await until(is_traced)
    request_id = f"req_{made['id'][-8:]}"
    ((trace, values),) = collector.find("reelbridge-api", "POST /v1/callbacks")
    assert trace == TRACE
    assert (values["http.response.status_code"], values["reelbridge.request_id"]) == ("201", request_id)
    ((_, sent),) = collector.find("reelbridge-worker", "deliver")
    assert (sent["reelbridge.request_id"], sent["reelbridge.verdict"]) == (request_id, "succeeded")
    assert collector.find("reelbridge-worker", "poll job", **{"reelbridge.kind": "sync_job"})
    assert "hidden" not in str(collector.got)
    assert receiver.url not in str(collector.got)
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in got.headers}
