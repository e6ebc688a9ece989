"""The parsers of CloudEvents' own SDKs, as the documentation shows them, read what a receiver gets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.api.serving import Client
from tests.docs.pages import code_blocks, read
from tests.nocode.toolbox import Toolbox

PAGE = "docs/payloads.md"


@dataclass
class Hook:
    """A receiver and the requests that it got."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response()


@asynccontextmanager
async def hooked() -> AsyncIterator[Hook]:
    """A running receiver."""
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook", hook.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield hook
    finally:
        await runner.cleanup()


async def send(api: Client, **chosen: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a test as its receiver gets them."""
    async with hooked() as hook:
        status, answer = await api.call(
            "POST", "/v1/callbacks/test", json={"callback_url": hook.url, **chosen}
        )
        assert (status, answer["delivered"]) == (200, True), answer
        [got] = hook.got
        return got


async def test_the_sdk_for_python_reads_an_event(api: Client) -> None:
    """The function of the page takes the request as it came, whatever its content type."""
    headers, body = await send(api, type="generated_post.partial", payload="cloudevents")
    assert headers["Content-Type"] == "application/json"
    page: dict[str, Any] = {}
    exec("\n".join(code_blocks(read(PAGE), "python")), page)
    event = json.loads(body)
    assert page["read_event"](headers, body) == {
        "type": "generated_post.partial",
        "subject": event["data"]["job_id"],
        "outcome": "partial",
    }


async def test_the_sdk_for_javascript_reads_an_event(api: Client, toolbox: Toolbox, tmp_path: Path) -> None:
    """The function of the page takes the body."""
    _, body = await send(api, type="sync_job.failed", payload="cloudevents")
    (tmp_path / "body.json").write_bytes(body)
    (tmp_path / "reader.mjs").write_text("\n".join(code_blocks(read(PAGE), "js")))
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\nimport { readEvent } from "./reader.mjs";\n'
        'console.log(JSON.stringify(readEvent(readFileSync("body.json", "utf8"))));\n'
    )
    said = await toolbox.run_node(tmp_path / "run.mjs", cwd=tmp_path)
    assert json.loads(said) == {
        "type": "sync_job.failed",
        "subject": json.loads(body)["data"]["job_id"],
        "outcome": "failed",
    }


@pytest.mark.parametrize("payload", ["full", "thin", "flat", "cloudevents"])
async def test_a_test_is_of_the_type_and_in_the_form_that_were_asked_for(api: Client, payload: str) -> None:
    """Signed and marked as a test."""
    headers, body = await send(api, type="reelbot_video.completed", payload=payload)
    event = json.loads(body)
    assert (event["type"], event["id"]) == ("reelbot_video.completed", headers["webhook-id"])
    assert (event["data"] if payload == "cloudevents" else event)["test"] is True


async def test_a_test_of_an_unknown_type_is_a_400_that_says_where_they_are_listed(api: Client) -> None:
    """Nothing is sent."""
    sent = {"callback_url": "http://127.0.0.1:9/", "type": "sync_job.done"}
    status, body = await api.call("POST", "/v1/callbacks/test", json=sent)
    assert (status, body["error"]["details"]["field"]) == (400, "type")
    assert "GET /v1/event-types" in body["error"]["message"]
