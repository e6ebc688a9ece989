"""The community node and the workflows for n8n, as far as n8n's lint, its types and Node.js can judge them."""

import json
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, read
from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator
from tests.nocode.toolbox import Toolbox, require_toolbox

pytestmark = pytest.mark.xdist_group("tools")
HERE = Path(__file__).parent / "n8n"
N8N = ROOT / "deploy" / "n8n"
WORKFLOWS = sorted((N8N / "workflows").glob("*.json"))
LARGE = pytest.mark.skipif(
    os.environ.get("REELBRIDGE_N8N") != "1", reason="installing n8n's packages takes a minute: make test-n8n"
)


def load(workflow: Path) -> dict[str, Any]:
    """A workflow as n8n imports it."""
    return dict(json.loads(workflow.read_text()))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda each: each.stem)
def test_a_workflow_connects_nodes_that_there_are(workflow: Path) -> None:
    """Names and ids are unique, every connection has both ends, and no credential or address of anybody is in it."""
    loaded = load(workflow)
    names = [each["name"] for each in loaded["nodes"]]
    assert len(set(names)) == len(names) == len({each["id"] for each in loaded["nodes"]})
    ends = [end["node"] for each in loaded["connections"].values() for out in each["main"] for end in out]
    assert {*loaded["connections"], *ends} == set(names)
    assert all("credentials" not in each for each in loaded["nodes"])
    assert set(re.findall(r"https?://[\w.]+", workflow.read_text())) <= {"https://bridge.example.com"}


def test_the_verified_trigger_has_the_expressions_of_the_documentation() -> None:
    """A test evaluates those of docs/receiving.md over all that a receiver may meet."""
    nodes = {
        each["name"]: each["parameters"]
        for each in load(N8N / "workflows" / "verified-trigger.json")["nodes"]
    }
    (condition,) = nodes["Is signed"]["conditions"]["conditions"]
    used = {"n8n-value": nodes["Sign"]["value"], "n8n-condition": condition["leftValue"]}
    for name, expression in used.items():
        (block,) = re.findall(
            rf"^ +```{name}\n(.*?)^ +```$", read("docs/receiving.md"), re.MULTILINE | re.DOTALL
        )
        assert expression == "=" + textwrap.dedent(block).strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toolbox, Path]:
    """The community node, compiled, with n8n's packages beside it."""
    toolbox = require_toolbox(listed_in=HERE)
    folder = tmp_path_factory.mktemp("n8n") / "package"
    shutil.copytree(N8N / "n8n-nodes-reelbridge", folder)
    for name in ("eslint.config.mjs", "run_node.cjs"):
        shutil.copy(HERE / name, folder)
    return toolbox, folder


@LARGE
async def test_the_node_compiles_and_n8n_s_lint_finds_nothing(package: tuple[Toolbox, Path]) -> None:
    """All rules that n8n recommends for community nodes; warnings count, and the lint can fail."""
    toolbox, folder = package
    assert await toolbox.run("tsc", cwd=folder) == ""
    words = ("--max-warnings=0", "nodes/**/*.ts", "credentials/**/*.ts", "package.json")
    assert await toolbox.run("eslint", *words, cwd=folder) == ""
    trigger = folder / "nodes" / "ReelbridgeTrigger" / "ReelbridgeTrigger.node.ts"
    kept = trigger.read_text()
    trigger.write_text(kept.replace("async checkExists", "async checksNot"))
    assert "webhook-lifecycle-complete" in await toolbox.run("eslint", *words, cwd=folder)
    trigger.write_text(kept)


@LARGE
async def test_the_node_subscribes_unsubscribes_and_waits_at_a_real_bridge(
    package: tuple[Toolbox, Path], bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Activated, active after a restart, deactivated; and a resume URL that is called when the job has ended."""
    toolbox, folder = package
    assert await toolbox.run("tsc", cwd=folder) == ""

    async def call(node: str, method: str, path: str, kept: object, **parameters: str) -> dict[str, Any]:
        file = folder / "dist" / "nodes" / node / f"{node}.node.js"
        url = receiver.url + path
        words = (bridge.url, API_KEY, file, node, method, url, json.dumps(parameters), json.dumps(kept))
        return dict(json.loads(await toolbox.run_node(folder / "run_node.cjs", *words, cwd=folder)))

    hook = "/webhook/1/webhook"
    told = await call("ReelbridgeTrigger", "checkExists", hook, {}, events="")
    assert told["result"] is False
    made = await call("ReelbridgeTrigger", "create", hook, {}, events="sync_job.*")
    assert made["data"]["endpointId"].startswith("ep_")
    found = await call("ReelbridgeTrigger", "checkExists", hook, {}, events="")
    assert (found["result"], found["data"]) == (True, made["data"])
    path = f"/v1/endpoints/{made['data']['endpointId']}"
    await bridge.call("PATCH", path, {"enabled": False})
    assert (await call("ReelbridgeTrigger", "checkExists", hook, {}, events=""))["result"] is True
    assert (await bridge.call("GET", path))[1]["enabled"] is True

    job = await simulator.make("sync_job", set={"status": "completed"})
    resume = "/webhook-waiting/7?signature=a%2Fb"
    waits = await call("Reelbridge", "execute", resume, {}, kind="sync_job", jobId=job)
    assert waits["data"]["waits"].startswith("3000-")
    (resumed,) = await receiver.wait(resume)
    (heard,) = await receiver.wait(hook)
    assert resumed.event["job_id"] == heard.event["job_id"] == job

    gone = await call("ReelbridgeTrigger", "delete", hook, made["data"])
    assert gone["data"] == {}
    assert (await bridge.call("GET", path))[0] == 404
    refused = await call("Reelbridge", "execute", resume, {}, kind="sync_job", jobId="")
    assert refused["error"] == "NodeApiError"
