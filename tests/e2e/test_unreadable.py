"""Records that no version can read, beside others of the same account and receiver."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from bridge.domain.ids import read_callback_job
from bridge.store import keys
from tests.e2e.processes import Bridge, Receiver, Simulator, bridge_env, reelbridge, running_bridge, until

pytestmark = pytest.mark.slow
BROKEN = b"\x92\xa7content\xa2\xff\xfe"


async def watch(bridge: Bridge, simulator: Simulator, receiver: Receiver) -> tuple[str, str]:
    """Watch a running job; return its id and the key of its record."""
    job = await simulator.make("sync_job", set={"status": "running"})
    made = await bridge.register(job_id=job, callback_url=f"{receiver.url}/{job}", timeout_seconds=600)
    return job, str(read_callback_job(made["id"]))


async def test_jobs_and_deliveries_beside_unreadable_ones_end(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    """One job of an account and one delivery to a host cannot be read: the others arrive, and `doctor` tells."""
    with running_bridge(simulator, tmp_path) as bridge:
        jobs = [await watch(bridge, simulator, receiver) for _ in range(5)]
        (lost, lost_key), (held, held_key), *others = jobs
        (socket,) = bridge.data_dir.glob("store/*/s.sock")
        async with Redis(unix_socket_path=str(socket)) as redis:
            receiver.behaviours[f"/{held}"] = refuse
            await simulator.control("PATCH", f"/jobs/sync_job/{held}", {"status": "completed"})
            await receiver.wait(f"/{held}")
            (delivery,) = await redis.zrange(keys.job_deliveries(held_key), 0, -1)
            assert await redis.set(keys.job(lost_key), BROKEN, xx=True)

            async def is_named() -> bool:  # an attempt that is under way writes the delivery once more
                await redis.set(keys.delivery(delivery.decode()), BROKEN, xx=True)
                return any(delivery.decode() in line for line in unreadable(bridge))

            await until(is_named)
            for job, _ in [(lost, lost_key), *others]:
                await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})
            for job, _ in others:
                await receiver.wait(f"/{job}")
            await redis.set(keys.RESEAL, b"1")  # as a process that starts asks for
            ready = await until(lambda: counted(bridge))
        assert ready == {"jobs": 1}
        port = bridge.url.rpartition(":")[2]
        doctor = reelbridge("doctor", env=bridge_env(simulator, bridge.data_dir, int(port)), cwd=tmp_path)
        await asyncio.to_thread(doctor.wait_for, r"cannot be read \(1 of jobs\)")
        assert await asyncio.to_thread(doctor.popen.wait, 30) == 1
        named = unreadable(bridge)
        # Each process that meets such a record names it once, and so does a task that goes over all records.
        assert all(any(key in line for line in named) for key in (lost_key, delivery.decode()))
        assert "content" not in "".join(bridge.process.lines)


def unreadable(bridge: Bridge) -> list[str]:
    return [line for line in bridge.process.lines if "store.record_unreadable" in line]


async def refuse(request: web.Request, body: bytes) -> web.StreamResponse:
    del request, body
    return web.Response(status=503)


async def counted(bridge: Bridge) -> Any:
    _, ready = await bridge.call("GET", "/readyz")
    return ready["details"]["unreadable_records"]
