"""A provider is added by a module, its entry in the registry and recorded answers: one that does not exist is added to a
copy of the product, and a job of it is taken from its registration to a signed callback by real processes.
"""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from bridge.domain.observation import Observed
from bridge.providers.read import read_answer
from bridge.providers.registry import ALL, build_catalogue, index_all_kinds
from bridge.providers.request_fields import RequestFields
from tests.e2e.processes import API_KEY, Bridge, Process, Receiver, free_port
from tests.e2e.third_provider.cloudclip import CLIP_RENDER, CLOUDCLIP

ROOT = Path(__file__).parents[2]
MODULE = Path(__file__).with_name("third_provider") / "cloudclip.py"
ANSWERS = {
    path.stem: json.loads(path.read_text()) for path in sorted(MODULE.with_name("answers").glob("*.json"))
}
TOKEN = "ccl-0123456789abcdef"
JOB = "take-7"


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_means_what_its_file_says(name: str) -> None:
    """The same reader understands a provider that it was not written for."""
    recorded = ANSWERS[name]
    result = read_answer(
        CLIP_RENDER,
        job_id=recorded["job_id"],
        http_status=recorded["http_status"],
        headers=recorded["headers"],
        body=json.dumps(recorded["body"]).encode(),
        now_ms=0,
    )
    found: dict[str, Any] = {"result": type(result).__name__}
    if isinstance(result, Observed):
        seen = result.observation
        found |= {"ending": seen.ending and seen.ending.word, "progress": seen.progress}
        found |= {
            "outcome": seen.ending and seen.ending.outcome,
            "message": seen.ending and seen.ending.message,
        }
    assert {key: found[key] for key in recorded["expect"]} == recorded["expect"]


def test_its_kind_joins_the_others() -> None:
    """Event types and request fields are made of what it states; those of the others stay as they are."""
    catalogue, before = build_catalogue((*ALL, CLOUDCLIP)), build_catalogue(ALL)
    added = [name for name in catalogue.types if name not in before.types]
    assert {name.partition(".")[0] for name in added} == {"clip_render"}
    assert {"clip_render.finished", "clip_render.broken", "clip_render.timed_out"} <= set(added)
    fields = RequestFields(index_all_kinds((*ALL, CLOUDCLIP)).values())
    assert fields.kinds["renderId"] == "clip_render"


def test_a_field_that_another_kind_has_is_refused() -> None:
    """Two kinds that claim one field would make a registration ambiguous."""
    kinds = [*index_all_kinds(ALL).values(), CLIP_RENDER, CLIP_RENDER]
    with pytest.raises(ValueError, match="claim the same field of a request: renderId"):
        RequestFields(kinds)
    with pytest.raises(ValueError, match="two kinds are named clip_render"):
        index_all_kinds((*ALL, CLOUDCLIP, CLOUDCLIP))


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product to which the provider was added."""
    folder = tmp_path_factory.mktemp("product")
    for package in ("bridge", "workers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(MODULE, folder / "bridge/providers/cloudclip.py")
    registry = folder / "bridge/providers/registry.py"
    text, entries = registry.read_text(), "    REELBOT,\n)\n"
    assert text.count(entries) == 1
    text = text.replace(entries, entries.replace(")", "    CLOUDCLIP,\n)"))
    imports = "from bridge.providers.provider_spec import"
    registry.write_text(
        text.replace(imports, f"from bridge.providers.cloudclip import CLOUDCLIP\n{imports}", 1)
    )
    return folder


@dataclass
class CloudClip:
    """The provider: gives the recorded answers in turn, the last one again and again, to who has the token."""

    url: str = ""
    script: tuple[str, ...] = ()
    reads: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a read as the recording says."""
        self.reads.append(request.path)
        if request.headers.get("X-CloudClip-Token") != TOKEN:
            return _replay("refused_token")
        if request.match_info["id"] != JOB:
            return _replay("unknown_id")
        name, *rest = self.script
        self.script = tuple(rest) or self.script
        return _replay(name)


def _replay(name: str) -> web.Response:
    recorded = ANSWERS[name]
    return web.json_response(recorded["body"], status=recorded["http_status"])


@asynccontextmanager
async def running_cloudclip() -> AsyncIterator[CloudClip]:
    """Run the provider for a while."""
    upstream = CloudClip()
    app = web.Application()
    app.router.add_get("/api/renders/{id}", upstream.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@pytest.fixture
async def upstream() -> AsyncIterator[CloudClip]:
    async with running_cloudclip() as running:
        yield running


@pytest.fixture
def bridge(product: Path, upstream: CloudClip, tmp_path: Path) -> Iterator[Bridge]:
    """`reelbridge up` of the copy, with a real store, as its operator would start it."""
    port = free_port()
    settings = {
        "PYTHONPATH": str(product),
        "REELBRIDGE_PORT": str(port),
        "REELBRIDGE_DATA_DIR": str(tmp_path / "data"),
        "REELBRIDGE_API_KEY": API_KEY,
        "REELBRIDGE_POLL_SCALE": "0.02",
        "REELBRIDGE_LOG": "json",
        "CLOUDCLIP_API_KEY": TOKEN,
        "CLOUDCLIP_BASE_URL": upstream.url,
    }
    process = Process(sys.executable, "-P", "-m", "bridge.cli.main", "up", env=settings, cwd=tmp_path)
    try:
        process.wait_for(r"callback_url")
        yield Bridge(url=f"http://127.0.0.1:{port}", process=process, data_dir=tmp_path / "data")
    finally:
        with suppress(TimeoutExpired):
            process.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "type_", "outcome", "message"),
    [
        ("finished", "clip_render.finished", "succeeded", None),
        ("broken", "clip_render.broken", "failed", "the footage is too dark"),
    ],
)
async def test_its_job_ends_in_a_signed_callback(
    bridge: Bridge,
    upstream: CloudClip,
    receiver: Receiver,
    last: str,
    type_: str,
    outcome: str,
    message: str | None,
) -> None:
    """Registered in the provider's own words, polled with its token, delivered with its object, signed."""
    upstream.script = ("waiting", "rendering", last)
    answer = {**ANSWERS["waiting"]["body"], "callback_url": f"{receiver.url}/hook", "verify": True}
    callback = await bridge.register(**answer)
    assert (callback["kind"], callback["job_id"]) == ("clip_render", JOB)
    (got,) = await receiver.wait("/hook")
    _, secret = await bridge.call("GET", "/v1/secrets/default")
    standardwebhooks.Webhook(secret["secret"]).verify(got.body, got.headers)
    event = got.event
    assert (event["type"], event["outcome"], event["job_id"]) == (type_, outcome, JOB)
    assert event["data"] == {**ANSWERS[last]["body"], "id": JOB}
    assert (event["error"] and event["error"]["message"]) == message
    assert len(upstream.reads) >= 3
    assert TOKEN not in "\n".join(bridge.process.lines)


@pytest.mark.slow
async def test_the_api_offers_it(bridge: Bridge) -> None:
    """OpenAPI, event types, samples, accounts and refusals name it without a further line of code."""
    _, document = await bridge.call("GET", "/openapi.json")
    schemas = document["components"]["schemas"]
    assert schemas["CallbackBody"]["properties"]["renderId"]["description"] == "a clip render"
    assert "cloudclip" in schemas["AccountBody"]["properties"]["provider"]["enum"]
    assert "clip_render.finished" in document["webhooks"]
    _, samples = await bridge.call("GET", "/v1/event-types/clip_render.broken/samples?payload=flat")
    assert (samples[0]["data_phase"], samples[0]["error_message"]) == ("broken", "the footage is too dark")
    _, accounts = await bridge.call("GET", "/v1/accounts")
    assert [each["provider"] for each in accounts["data"]] == ["cloudclip"]
    status, refusal = await bridge.call(
        "POST", "/v1/callbacks", {"renderId": "typo", "callback_url": "inbox:", "verify": True}
    )
    assert (status, refusal["error"]["code"]) == (404, "NOT_FOUND")
    status, refusal = await bridge.call("POST", "/v1/callbacks", {"callback_url": "inbox:"})
    assert "renderId (a clip render)" in refusal["error"]["message"]
