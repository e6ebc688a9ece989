"""The code step for Pipedream, which runs in its maker's cloud only: here under Node.js, with the documented `$` around it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator
from tests.nocode.toolbox import require_node, run

HERE = Path(__file__).parent
STEP = ROOT / "deploy" / "pipedream" / "wait-for-job.mjs"
RESUME = "/resume/abc?signature=1"


async def run_step(tmp_path: Path, *words: object) -> dict[str, Any]:
    """Run the step once; what it exports, or the message of its error."""
    node, _ = require_node()
    printed = await run(node, HERE / "run_pipedream.mjs", STEP, *words, cwd=tmp_path)
    return dict(json.loads(printed))


async def test_the_step_waits_for_a_job_and_exports_its_event(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It suspends with a registration; the callback resumes it, and what came is what it exports."""
    monkeypatch.setenv("BRIDGE_URL", bridge.url)
    monkeypatch.setenv("BRIDGE_KEY", API_KEY)
    job = await simulator.make("sync_job", set={"status": "completed"})
    assert await run_step(tmp_path, receiver.url + RESUME, 1, "sync_job", job) == {"exported": None}
    (resumed,) = await receiver.wait(RESUME)
    exported = await run_step(tmp_path, receiver.url + RESUME, 2, "sync_job", job, resumed.body.decode())
    assert exported["exported"]["type"] == "sync_job.completed"
    assert exported["exported"]["job_id"] == job
    refused = await run_step(tmp_path, receiver.url + RESUME, 1, "sync_jobs", job)
    assert refused["error"].startswith("kind: ")
