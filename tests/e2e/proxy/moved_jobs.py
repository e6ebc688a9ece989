"""The loops of the providers' clients and what stands in their place by callback: how they are run and counted."""

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, SCALE, Bridge, Simulator, free_port, until

SCRIPTS = Path(__file__).parent / "scripts"
TOOLS = {".sh": ("bash", "curl", "jq"), ".mjs": ("node",), ".py": ()}
REELMIRROR, REELBOT = "reelmirror", "reelbot"


@dataclass(frozen=True)
class Moved:
    """A loop and what stands in its place; `ends` is the type of the event that the callback brings."""

    loop: str
    callback: str
    ends: str = ""
    provider: str = REELMIRROR
    prepare: str = ""  # what must be there before: "source" or "post"


JOBS = [
    Moved("sync.sh", "sync.sh", "sync_job.completed"),
    Moved("generation.sh", "generation.sh", "generated_post.completed", prepare="source"),
    Moved("publishing.sh", "publishing.sh", "outgoing_post.published", prepare="post"),
    Moved("poll.py", "poll.py", "sync_job.completed"),
    Moved("until_done.mjs", "until_done.mjs", "generated_post.completed", prepare="source"),
    Moved("reelbot.mjs", "reelbot.mjs", "reelbot_video.completed", provider=REELBOT),
]
AUTOMATION = Moved("automation.sh", "automation.py")
REVIEW = Moved("review.py", "review.py")


@dataclass(frozen=True)
class Run:
    """A program, with what it printed and what it took."""

    printed: str = ""
    requests: int = 0
    seconds: float = 0.0


def command(path: Path) -> list[str]:
    """Return the command that runs a script; skip the test where a tool is missing, which CI has."""
    missing = [tool for tool in TOOLS[path.suffix] if shutil.which(tool) is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {' and no '.join(missing)}")
    assert not missing, f"CI needs {missing}"
    return [{".sh": "bash", ".mjs": "node", ".py": sys.executable}[path.suffix], str(path)]


async def count_passed(bridge: Bridge) -> int:
    """Return how many requests the proxy has answered."""
    async with aiohttp.ClientSession() as http, http.get(f"{bridge.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(
        int(float(line.split()[-1]))
        for line in lines
        if re.match(r"reelbridge_proxied_requests_total\{", line)
    )


async def run(
    bridge: Bridge,
    path: Path,
    env: dict[str, str],
    meanwhile: Callable[[], Awaitable[Any]] | None = None,
) -> Run:
    """Run a script to its end, and wait until what it began has arrived."""
    before, begun_s = await count_passed(bridge), time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command(path), env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    if meanwhile is not None:
        await meanwhile()
    seconds = time.monotonic() - begun_s
    return Run(printed=printed.decode(), requests=await count_passed(bridge) - before, seconds=seconds)


async def prepare(bridge: Bridge, simulator: Simulator, job: Moved, *, pace: float = SCALE) -> dict[str, str]:
    """Make a persona, and what a script begins with; return its environment, with `pace` as factor on its pauses."""
    persona = str((await simulator.control("POST", "/personas", {}))["id"])
    env = {
        "API": f"{bridge.url}/{job.provider}/api",
        "KEY": API_KEY,
        "PERSONA": persona,
        "PACE": str(pace),
        "SOURCE_POST": str(uuid4()),
    }
    if job.prepare == "post":
        items = [{"id": str(uuid4()), "status": "completed"}]
        fields = {"status": "completed", "review_status": "pending_review"}
        made = {"kind": "generated_post", "persona_id": persona, "items": items, "set": fields}
        env["POST"] = str((await simulator.control("POST", "/jobs", made))["id"])
    return env


async def review(
    bridge: Bridge, simulator: Simulator, kind: str, *, pace: float = SCALE, count: int = 3
) -> Run:
    """Run a program that approves posts, by loop or by callback, and begin so many posts."""
    port = free_port()
    numbers = {"COUNT": str(count), "PORT": str(port)}
    env = await prepare(bridge, simulator, REVIEW, pace=pace) | numbers
    reviewing = asyncio.create_task(run(bridge, SCRIPTS / kind / "review.py", env))
    headers = {"Authorization": f"Bearer {API_KEY}"}
    if kind == "callbacks":
        headers["X-Webhook-URL"] = f"http://127.0.0.1:{port}/"
        await until(lambda: accepts(port))
    async with aiohttp.ClientSession(headers=headers) as http:
        for _ in range(count):
            body = {"source_post_id": str(uuid4()), "persona_id": env["PERSONA"]}
            async with http.post(f"{env['API']}/v1/generate", json=body) as answer:
                assert answer.status == 202
    return await reviewing


async def accepts(port: int) -> bool:
    """Return whether somebody listens."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def count_lines(path: Path) -> int:
    """Count the lines of a program that are neither empty nor its heading."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return len([line for line in lines if not line.startswith(("#", "//", '"""'))])
