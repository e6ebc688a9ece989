"""A store at its memory limit: nothing new is taken, and what was accepted is polled, ended and delivered."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator, running_bridge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
LIMIT_MB = 24  # half of it is a project's; what clients are just sending took up to 5 MB beside that
POLLED_S = 150.0  # a thousand jobs that the upstream does not know are polled from the same budget
LARGE: dict[str, Any] = {"metadata": "m" * 4000, "callback_url": f"https://hooks.invalid/{'u' * 3900}"}


async def fill(bridge: Bridge, key: str, prefix: str) -> tuple[int, str | None]:
    """Register until a request is refused; give its status and Retry-After."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for number in range(200):
            body = {"job_ids": [f"{prefix}-{number}-{each}" for each in range(20)], **LARGE}
            async with http.post(f"{bridge.url}/v1/callbacks", json=body) as answer:
                if answer.status != 201:
                    assert (await answer.json())["error"]["code"] in {"RATE_LIMITED", "SERVICE_UNAVAILABLE"}
                    return answer.status, answer.headers.get("Retry-After")
    raise AssertionError("nothing was refused")


async def fill_with_projects(bridge: Bridge) -> int:
    """Let new projects register until the store itself refuses a request; return that request's status."""
    for number in range(1, 10):
        status, made = await bridge.call("POST", "/v1/projects", {"name": f"p{number}"})
        if status != 201:
            return int(status)
        await add_account(bridge, made["key"], number)
        if (await fill(bridge, made["key"], f"p{number}")) == (503, "30"):
            return 503
    raise AssertionError("the store took it all")


async def add_account(bridge: Bridge, key: str, number: int) -> None:
    account = {"provider": "reelmirror", "credential": f"rm_{number:032x}"}
    status, body = await bridge.call(
        "POST", "/v1/accounts", account, headers={"authorization": f"Bearer {key}"}
    )
    assert status == 201, body


async def test_a_full_embedded_store_refuses_and_goes_on(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    """429 for the project at its quota, 503 with Retry-After for all at the limit; endings go out, after a restart too."""
    jobs = [await simulator.make("sync_job", set={"status": "running"}) for _ in range(2)]
    settings = {"REELBRIDGE_STORE_MEMORY": f"{LIMIT_MB}mb"}
    with running_bridge(simulator, tmp_path, **settings) as bridge:
        for job in jobs:
            await bridge.register(job_id=job, callback_url=f"{receiver.url}/{job}", timeout_seconds=6000)
        (socket,) = bridge.data_dir.glob("store/*/s.sock")
        async with Redis(unix_socket_path=str(socket)) as redis:
            memory = await redis.info("memory")
        assert (memory["maxmemory"], memory["maxmemory_policy"]) == (LIMIT_MB << 20, "noeviction")
        assert await fill(bridge, API_KEY, "a") == (429, "60")
        assert await fill_with_projects(bridge) == 503
        await simulator.control("PATCH", f"/jobs/sync_job/{jobs[0]}", {"status": "completed"})
        await receiver.wait(f"/{jobs[0]}", within_s=POLLED_S)
    with running_bridge(simulator, tmp_path, **settings) as bridge:
        await simulator.control("PATCH", f"/jobs/sync_job/{jobs[1]}", {"status": "completed"})
        await receiver.wait(f"/{jobs[1]}", within_s=POLLED_S)
