"""The ready workflows for n8n with what a user fills in, and workflows of the community node."""

import itertools
import json
import uuid
from collections.abc import Mapping
from typing import Any

from tests.docs.pages import ROOT
from tests.e2e.processes import API_KEY, Bridge
from tests.e2e.tools.n8n_server import N8n

WORKFLOWS = ROOT / "deploy" / "n8n" / "workflows"
SLOW = {"resume": "timeInterval", "amount": 4, "unit": "seconds"}


async def load(n8n: N8n, bridge: Bridge, name: str, **filled: str) -> dict[str, Any]:
    """A ready workflow with the bridge's address, the credential, and each text of `filled` replaced by its value."""
    text = (WORKFLOWS / f"{name}.json").read_text().replace("https://bridge.example.com", bridge.url)
    for blank, value in filled.items():
        assert blank in text, blank
        text = text.replace(blank, value)
    workflow = dict(json.loads(text))
    login = await n8n.make_credential("httpHeaderAuth", name="X-API-Key", value=API_KEY)
    for node in workflow["nodes"]:
        if node["parameters"].get("genericAuthType") == "httpHeaderAuth":
            node["credentials"] = login
    return workflow


def find(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """A node by its name."""
    return next(node for node in workflow["nodes"] if node["name"] == name)


def connect(workflow: dict[str, Any], *names: str) -> None:
    """Connect nodes in a row, and nothing else."""
    workflow["connections"] = {
        name: {"main": [[{"node": after, "type": "main", "index": 0}]]}
        for name, after in itertools.pairwise(names)
    }


def add(workflow: dict[str, Any], kind: str, parameters: Mapping[str, object], *, version: float = 1) -> None:
    """Add a node of the user's own, named after its type."""
    workflow["nodes"].append(
        {
            "id": str(uuid.uuid4()),
            "name": kind.rpartition(".")[2],
            "type": kind,
            "typeVersion": version,
            "position": [0, 200],
            "webhookId": str(uuid.uuid4()),
            "parameters": dict(parameters),
        }
    )


async def make_node_workflow(n8n: N8n, bridge: Bridge, node: str, **parameters: str) -> dict[str, Any]:
    """A workflow of a node of the community package: the trigger alone, or the other behind a manual start."""
    workflow: dict[str, Any] = {"name": node, "nodes": [], "settings": {"executionOrder": "v1"}}
    add(workflow, f"n8n-nodes-reelbridge.{node}", parameters)
    find(workflow, node)["credentials"] = await n8n.make_credential(
        "reelbridgeApi", url=bridge.url, apiKey=API_KEY
    )
    names = [node]
    if not node.endswith("Trigger"):
        add(workflow, "n8n-nodes-base.manualTrigger", {})
        names = ["manualTrigger", node]
    connect(workflow, *names)
    return workflow
