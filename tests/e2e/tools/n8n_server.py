"""A real n8n with a user folder of its own: its owner, credentials, workflows and executions, through its editor's API."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.docs.pages import ROOT
from tests.e2e.processes import Process, free_port, until
from tests.nocode.toolbox import find_node, require_toolbox

PACKAGE = ROOT / "deploy" / "n8n" / "n8n-nodes-reelbridge"
OWNER = {"email": "owner@example.test", "firstName": "O", "lastName": "W", "password": "Passw0rd-e2e"}
START_S = 120.0  # a first start makes the database, which takes 20 s on an idle machine


@dataclass
class N8n:
    """A running n8n. `stop` and `start` leave its user folder and its port as they are."""

    program: str
    folder: Path
    port: int
    process: Process | None = None
    cookie: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it has loaded its workflows."""
        self.process = Process(
            self.program,
            "start",
            env={
                "N8N_USER_FOLDER": str(self.folder),
                "N8N_PORT": str(self.port),
                "N8N_LISTEN_ADDRESS": "127.0.0.1",
                "N8N_RUNNERS_BROKER_PORT": str(free_port()),
                "WEBHOOK_URL": f"{self.url}/",
                "N8N_SECURE_COOKIE": "false",
                "N8N_DIAGNOSTICS_ENABLED": "false",
                "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            },
            cwd=self.folder,
        )
        self.process.wait_for("Editor is now accessible", within_s=START_S)

    def stop(self) -> None:
        """End it as an operator would, and what it started."""
        if self.process is not None:
            try:
                self.process.stop()
            finally:
                self.process.kill()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the editor's API as the owner; its `data`."""
        if not self.cookie:
            await self._make_owner()
        async with (
            aiohttp.ClientSession(headers={"cookie": self.cookie}) as http,
            http.request(method, f"{self.url}/rest{path}", json=body) as answer,
        ):
            assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
            return (await answer.json())["data"]

    async def _make_owner(self) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/rest/owner/setup", json=OWNER) as answer,
        ):
            assert answer.status == 200, await answer.text()
            self.cookie = f"n8n-auth={answer.cookies['n8n-auth'].value}"

    async def make_credential(self, kind: str, **data: str) -> dict[str, dict[str, str]]:
        """Save a credential; what a node has as `credentials` to use it."""
        body = {"name": f"{kind} {len(data)}", "type": kind, "data": data}
        made = await self.call("POST", "/credentials", body)
        return {kind: {"id": made["id"], "name": made["name"]}}

    async def save(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """Save a workflow as "Import from file" does; it as n8n has it."""
        return dict(await self.call("POST", "/workflows", workflow))

    async def activate(self, saved: dict[str, Any]) -> None:
        """Publish a saved workflow."""
        await self.call("POST", f"/workflows/{saved['id']}/activate", {"versionId": saved["versionId"]})

    async def deactivate(self, saved: dict[str, Any]) -> None:
        """Take a published workflow back."""
        await self.call("POST", f"/workflows/{saved['id']}/deactivate", {})

    async def execute(self, saved: dict[str, Any], *, start: str = "Start") -> str:
        """Press "Execute workflow" at a manual trigger; the execution's id."""
        body = {"workflowData": saved, "triggerToStartFrom": {"name": start}}
        return str((await self.call("POST", f"/workflows/{saved['id']}/run", body))["executionId"])

    async def list_executions(self, saved: dict[str, Any]) -> list[dict[str, Any]]:
        """The executions of a workflow, newest first."""
        chosen = json.dumps({"workflowId": saved["id"]})
        async with (
            aiohttp.ClientSession(headers={"cookie": self.cookie}) as http,
            http.get(f"{self.url}/rest/executions", params={"filter": chosen}) as answer,
        ):
            return list((await answer.json())["data"]["results"])

    async def wait_for_status(self, execution: str, status: str, *, within_s: float = 60.0) -> dict[str, Any]:
        """Wait until an execution is `waiting`, `success`, `error`; what its nodes gave."""

        async def reached() -> dict[str, Any] | None:
            found = await self.call("GET", f"/executions/{execution}")
            assert found["status"] in ("new", "running", "waiting", status), found
            return dict(found) if found["status"] == status else None

        return read_runs(await until(reached, within_s=within_s))


def read_runs(execution: dict[str, Any]) -> dict[str, Any]:
    """The JSON of the first item that each node gave last, by the node's name."""
    runs = unflatten(execution["data"])["resultData"]["runData"]
    outputs = {
        name: [
            branch for branch in each[-1].get("data", {"main": []})["main"] if branch
        ]  # none of a node that failed
        for name, each in runs.items()
    }
    return {name: branches[0][0]["json"] for name, branches in outputs.items() if branches}


def unflatten(text: str) -> Any:
    """Read the form in which n8n sends executions: a list, in which every text within a value is a place of the list."""
    places = json.loads(text)

    def read(value: Any, *, placed: bool) -> Any:
        if isinstance(value, str) and not placed:
            return read(places[int(value)], placed=True)
        if isinstance(value, dict):
            return {key: read(each, placed=False) for key, each in value.items()}
        return [read(each, placed=False) for each in value] if isinstance(value, list) else value

    return read(places[0], placed=True)


def install_package(folder: Path, build: Path) -> None:
    """Build the community node and install it in a user folder by the commands of docs/nocode/n8n.md."""
    toolbox = require_toolbox(listed_in=Path(__file__).parent / "n8n")
    shutil.copytree(PACKAGE, build)
    (build / "node_modules").symlink_to(
        toolbox.modules
    )  # what its `npm install` gives, after the tests' lock file
    nodes = folder / ".n8n" / "nodes"
    nodes.mkdir(parents=True)
    run_npm("run", "build", cwd=build)
    run_npm("pack", cwd=build)
    (packed,) = build.glob("*.tgz")
    run_npm("install", "--prefix", str(nodes), "--legacy-peer-deps", "--offline", packed.name, cwd=build)


def run_npm(*words: str, cwd: Path) -> None:
    """Run npm with the Node.js of the tests."""
    found = find_node()
    assert found is not None
    node, npm = found
    done = subprocess.run(
        [node, npm, *words],
        cwd=cwd,
        env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_n8n(program: str, folder: Path) -> Iterator[N8n]:
    """Run n8n in an empty folder, with the community node installed."""
    install_package(folder, folder / "build")
    n8n = N8n(program, folder, free_port())
    try:
        n8n.start()
        yield n8n
    finally:
        n8n.stop()
