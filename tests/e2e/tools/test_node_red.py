"""The nodes and the flow for Node-RED, in a real headless Node-RED against a real bridge."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.docs.pages import ROOT
from tests.e2e.processes import API_KEY, Bridge, Process, Simulator, free_port, until
from tests.e2e.receivers.programs import HERE as RECEIVERS
from tests.nocode.toolbox import require_toolbox

NODE_RED = ROOT / "deploy" / "node-red"


@dataclass(frozen=True)
class NodeRed:
    """A Node-RED with the flow of `deploy/node-red`, and what it prints."""

    url: str
    process: Process

    async def post(self, path: str, body: object) -> int:
        """Post JSON to a path of the flow; the status."""
        async with aiohttp.ClientSession() as http, http.post(self.url + path, json=body) as answer:
            return answer.status

    async def deploy(self, change: Any) -> None:
        """Deploy the flow with the nodes that `change` makes of those it is given."""
        async with aiohttp.ClientSession(headers={"node-red-deployment-type": "nodes"}) as http:
            async with http.get(f"{self.url}/flows") as answer:
                nodes = await answer.json()
            async with http.post(f"{self.url}/flows", json=change(nodes)) as answer:
                assert answer.status == 204, await answer.text()


@pytest.fixture(scope="module")
def node_red(bridge: Bridge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeRed]:
    """The flow as it stands: its addresses come from the environment, the key from the file of credentials."""
    toolbox = require_toolbox(listed_in=RECEIVERS)
    folder = tmp_path_factory.mktemp("node-red")
    shutil.copy(NODE_RED / "flow.json", folder)
    (folder / "flow_cred.json").write_text(json.dumps({"reelbridge-own": {"key": API_KEY}}))
    (folder / "settings.js").write_text(
        "module.exports = { credentialSecret: false, uiHost: '127.0.0.1' };\n"
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = Process(
        *(str(toolbox.node), str(toolbox.modules / "node-red" / "red.js"), "--userDir", "."),
        *(
            "--settings",
            "settings.js",
            "--port",
            str(port),
            "-D",
            f"nodesDir={NODE_RED / 'node'}",
            "flow.json",
        ),
        env={"REELBRIDGE_URL": bridge.url, "NODE_RED_URL": url, "NO_COLOR": "1"},
        cwd=folder,
    )
    try:
        process.wait_for("Started flows")
        yield NodeRed(url, process)
    finally:
        process.kill()


async def list_endpoints(bridge: Bridge) -> list[dict[str, Any]]:
    """The endpoints that the flow has made."""
    _, listed = await bridge.call("GET", "/v1/endpoints")
    return [each for each in listed["data"] if each["description"] == "Node-RED"]


async def test_a_message_waits_for_its_job_and_an_event_starts_a_flow(
    node_red: NodeRed, bridge: Bridge, simulator: Simulator
) -> None:
    """Two messages wait at one node, each goes on with its own job; the other node hears both endings."""
    await until(lambda: list_endpoints(bridge))
    jobs = {
        status: await simulator.make("sync_job", set={"status": status}) for status in ("completed", "failed")
    }
    for job in jobs.values():
        assert await node_red.post("/jobs", {"job_id": job}) == 202
    for status, job in jobs.items():
        node_red.process.wait_for(rf"job_id: '{job}'", within_s=30)
        node_red.process.wait_for(rf"'?sync_job\.{status}'?$")


async def test_what_is_not_signed_is_refused(node_red: NodeRed, bridge: Bridge) -> None:
    """Neither node sends a message for it."""
    (endpoint,) = await until(lambda: list_endpoints(bridge))
    path = endpoint["url"].removeprefix(node_red.url)
    assert await node_red.post(path, {"type": "sync_job.forged"}) == 401
    assert await node_red.post("/reelbridge/wait/rb-wait/x", {"type": "sync_job.forged"}) == 401
    assert not any("forged" in line for line in node_red.process.lines)


async def test_a_node_that_is_deployed_anew_keeps_its_endpoint_and_a_deleted_one_deletes_it(
    node_red: NodeRed, bridge: Bridge, simulator: Simulator
) -> None:
    """With another filter the same endpoint goes on, with a secret that the new node knows."""
    (before,) = await until(lambda: list_endpoints(bridge))

    def narrow(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**each, "events": "sync_job.skipped"} if each["id"] == "rb-events" else each for each in nodes
        ]

    await node_red.deploy(narrow)

    async def narrowed() -> bool:
        return [(each["id"], each["events"]) for each in await list_endpoints(bridge)] == [
            (before["id"], ["sync_job.skipped"])
        ]

    await until(narrowed)
    job = await simulator.make("sync_job", set={"status": "skipped"})
    await bridge.register(job_id=job, callback_url="inbox:")
    node_red.process.wait_for(r"sync_job\.skipped")
    await node_red.deploy(lambda nodes: [each for each in nodes if each["id"] != "rb-events"])

    async def gone() -> bool:
        return not await list_endpoints(bridge)

    await until(gone)


GUARDED: list[dict[str, Any]] = [
    {"id": "g-in", "type": "http in", "url": "/guarded", "method": "post", "wires": [["g-key"]]},
    {
        "id": "g-key",
        "type": "switch",
        "property": "req.headers.x-hook-key",
        "propertyType": "msg",
        "rules": [{"t": "eq", "v": "let-me-in", "vt": "str"}, {"t": "else"}],
        "checkall": "false",
        "outputs": 2,
        "wires": [["g-yes"], ["g-no"]],
    },
    {"id": "g-yes", "type": "http response", "statusCode": "200", "wires": []},
    {"id": "g-no", "type": "http response", "statusCode": "401", "wires": []},
]


async def test_a_path_that_is_deployed_later_gets_its_event_and_takes_only_the_right_header(
    node_red: NodeRed, bridge: Bridge, simulator: Simulator
) -> None:
    """Node-RED answers 404 until then; a flow of its own nodes tells by a header who may call."""

    async def list_statuses(callback: str) -> list[int | None]:
        _, listed = await bridge.call("GET", f"/v1/deliveries?callback_id={callback}")
        return [attempt["status"] for each in listed["data"] for attempt in each["attempts"]]

    made = []
    for key in ("let-me-in", "another"):
        job = await simulator.make("sync_job", set={"status": "completed"})
        made.append(
            await bridge.register(
                job_id=job, callback_url=f"{node_red.url}/guarded?key={key}", headers={"X-Hook-Key": key}
            )
        )
    for each in made:

        async def missed(callback: str = each["id"]) -> bool:
            return 404 in await list_statuses(callback)

        await until(missed)
    flow = {"id": "g-tab", "type": "tab", "label": "guarded"}
    await node_red.deploy(lambda nodes: [*nodes, flow, *({**each, "z": "g-tab"} for each in GUARDED)])
    for each, wanted in zip(made, (200, 401), strict=True):

        async def answered(callback: str = each["id"], wanted: int = wanted) -> bool:
            return wanted in await list_statuses(callback)

        await until(answered)
    assert 200 not in await list_statuses(made[1]["id"])
