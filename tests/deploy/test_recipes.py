"""What the files for Make and Retool send is taken by the API; these tools themselves run in their makers' clouds only."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store
from tests.docs.pages import ROOT

APP = json.loads((ROOT / "deploy" / "make" / "app.json").read_text())


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    """An API that may send to this machine."""
    with running_store(tmp_path) as socket:
        async with serving(make_settings(socket, allow_http=True, allow_networks="127.0.0.0/8")) as client:
            yield client


def fill(part: Any, **values: str) -> Any:
    """Put values in the place of `{{name}}`, as Make does; what has none becomes empty."""
    if isinstance(part, dict):
        return {name: fill(each, **values) for name, each in part.items()}
    return re.sub(r"{{([\w.]+)}}", lambda found: values.get(found[1].replace(".", "_"), ""), part)


async def test_make_attaches_and_detaches(api: Client) -> None:
    """The id that attach keeps is the one that detach names; an empty filter means every ending."""
    webhook = APP["webhook"]
    attach, detach = webhook["attach"], webhook["detach"]
    body = fill(attach["body"], webhook_url="http://127.0.0.1:9/make")
    status, made = await api.call(attach["method"], attach["url"], json=body)
    assert status == 201, made
    assert "generated_post.completed" in made["events"]
    assert attach["response"]["data"] == {"endpointId": "{{body.id}}"}
    status, gone = await api.call(detach["method"], fill(detach["url"], webhook_endpointId=made["id"]))
    assert (status, gone["deleted"]) == (200, True)


async def test_make_registers_a_job_and_learns_a_sample(api: Client) -> None:
    """Every parameter that a body names is a field of the module."""
    action = APP["action"]
    named = re.findall(r"{{parameters\.(\w+)}}", json.dumps(action["communication"]))
    assert {each["name"] for each in action["parameters"]} == set(named)
    body = fill(
        action["communication"]["body"],
        parameters_kind="sync_job",
        parameters_id="7",
        parameters_callbackUrl="http://127.0.0.1:9/second",
    )
    status, made = await api.call("POST", action["communication"]["url"], json=body)
    assert (status, made["metadata"]) == (201, None)
    sample = APP["trigger"]["sample"]
    status, samples = await api.call("GET", f"{sample['url']}?payload={sample['qs']['payload']}")
    assert (status, samples[0]["type"]) == (200, "generated_post.completed")


async def test_retool_registers_a_job(api: Client) -> None:
    """With the header that its start trigger asks for."""
    recipe = json.loads((ROOT / "deploy" / "retool" / "register.json").read_text())
    body = {**recipe["body"], "id": "7", "callback_url": "http://127.0.0.1:9/retool"}
    status, made = await api.call(recipe["method"], "/v1/callbacks", json=body)
    assert status == 201, made
