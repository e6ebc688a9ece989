"""Code that waits for a job, as docs/waiting.md shows it, against real processes."""

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import code_blocks, read
from tests.e2e.processes import API_KEY, Bridge, Simulator, until

pytestmark = pytest.mark.slow

CALLS = {
    "python": "import sys\n{code}\nprint(json.dumps(wait_for(*sys.argv[1:])))\n",
    "js": "{code}\nwaitFor(...process.argv.slice(2)).then((job) => console.log(JSON.stringify(job)));\n",
}


def write_program(folder: Path, language: str) -> list[str]:
    """Write the page's function with a call of it; return the command that runs it."""
    (code,) = code_blocks(read("docs/waiting.md"), language)
    path = folder / {"python": "wait.py", "js": "wait.js"}[language]
    path.write_text(CALLS[language].replace("{code}", code))
    if language == "python":
        return [sys.executable, str(path)]
    node = shutil.which("node")
    if node is None and os.environ.get("CI") != "true":
        pytest.skip("there is no Node.js")
    assert node is not None, "CI needs Node.js"
    return [node, str(path)]


async def run(*command: str) -> Any:
    """Run a program to its end; return the JSON that it prints."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return json.loads(printed)


async def is_watched(bridge: Bridge, job_id: str) -> bool:
    status, job = await bridge.call("GET", f"/v1/jobs/sync_job/{job_id}")
    return bool(status == 200 and job["polls"])


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_lines_of_the_page_wait_for_a_job(
    bridge: Bridge, simulator: Simulator, tmp_path: Path, language: str
) -> None:
    """They begin before the job is watched, outlast a restart of the API, and see the job's end."""
    command = write_program(tmp_path, language)
    job_id = await simulator.make("sync_job", set={"status": "running"})
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(run(*command, bridge.url, API_KEY, "sync_job", job_id))
        await until(lambda: is_watched(bridge, job_id))
        (api,) = bridge.pids(" api")
        os.kill(api, signal.SIGTERM)
        await until(lambda: has_restarted(bridge, api))
        assert not waiting.done()
        await simulator.control("PATCH", f"/jobs/sync_job/{job_id}", {"status": "completed"})
    job = waiting.result()
    assert (job["id"], job["ending"], job["data"]["status"]) == (job_id, "completed", "completed")


async def has_restarted(bridge: Bridge, former: int) -> bool:
    return any(pid != former for pid in bridge.pids(" api"))


async def test_those_who_wait_share_the_reads_of_one_watch(bridge: Bridge, simulator: Simulator) -> None:
    """Twenty requests for one job cost what one callback does, and nothing is sent to anybody."""
    job_id = await simulator.make("sync_job", set={"status": "running"})
    path = f"/v1/jobs/sync_job/{job_id}?wait=55"
    waiting = asyncio.gather(*(bridge.call("GET", path) for _ in range(20)))
    await until(lambda: is_watched(bridge, job_id))
    await simulator.control("PATCH", f"/jobs/sync_job/{job_id}", {"status": "completed"})
    answers = await waiting
    assert {(status, job["ending"]) for status, job in answers} == {(200, "completed")}
    polls = {job["polls"] for _, job in answers}
    reads = await simulator.control("GET", f"/requests?id={job_id}")
    assert polls == {reads["count"]}
    _, events = await bridge.call("GET", f"/v1/events?job_id={job_id}")
    assert [each["type"] for each in events["data"]] == ["sync_job.completed", "sync_job.running"]
    _, page = await bridge.call("GET", f"/v1/callbacks?job_id={job_id}")
    assert [(each["callback_url"], each["state"]) for each in page["data"]] == [("wait:", "ended")]
    _, deliveries = await bridge.call("GET", f"/v1/deliveries?callback_id={page['data'][0]['id']}")
    assert deliveries["data"] == []
