"""Nothing is lost or doubled through a stop and a start, without the store, and with a full one."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.e2e.crash.checks import NOTHING, check_all_ended, wait_all_delivered
from tests.e2e.crash.job_plans import plan_jobs
from tests.e2e.crash.killable_service import Service, sweep_once
from tests.e2e.crash.received_posts import ReceivedPosts
from tests.e2e.crash.registrar import Registrar
from tests.e2e.crash.soak_options import SEED, SOAKING
from tests.e2e.processes import until

LEASE_S = 17  # of an attempt that was cut off, at the attempt timeout of these tests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_a_stop_drains_and_a_start_goes_on_at_once(service: Service, received: ReceivedPosts) -> None:
    """SIGTERM: attempts in flight end and are recorded, what was not begun waits for no lease; nothing is doubled."""
    received.pause_s = (0.5, 1.0)
    registrar = Registrar(service, received)
    service.kills.clear()
    await registrar.register(plan_jobs(random.Random(SEED), "st", 120, within_s=(0.0, 2.0)))

    async def under_way() -> bool:
        return len(received.first_at) >= 20

    await until(under_way, every_s=0.01)
    began = time.monotonic()
    assert await asyncio.to_thread(service.bridge.process.stop) == 0
    took_s = time.monotonic() - began
    assert len(received.posts) == len(received.first_at), "an attempt was cut off"
    told = set(received.first_at)
    assert len(told) < len(registrar.watched), "nothing was left to do"
    assert took_s < 12.0
    service.launch()
    await service.wait_ready()
    ready_at = time.time()
    await wait_all_delivered(registrar, received)
    assert await check_all_ended(service, registrar, received) == {}
    first_at = min(at for hook, at in received.first_at.items() if hook not in told)
    assert first_at - ready_at < LEASE_S / 2
    assert await sweep_once(service) == NOTHING


@dataclass
class ApiProbe:
    """Reads and registers at any moment, and notes status and seconds of every answer."""

    service: Service
    answers: list[tuple[int, float]] = field(default_factory=list)

    async def go_on(self) -> None:
        """Ask until cancelled."""
        while True:
            for method, path, body in (
                ("GET", "/v1/callbacks?limit=1", None),
                ("POST", "/v1/callbacks", {"job_id": "outage", "callback_url": "inbox:"}),
                ("GET", "/readyz", None),
            ):
                began = time.monotonic()
                status, _ = await self.service.bridge.call(method, path, body)
                self.answers.append((status, time.monotonic() - began))
            await asyncio.sleep(0.02)

    async def was_refused(self) -> bool:
        """Say whether an answer was 503."""
        return any(status == 503 for status, _ in self.answers)


@contextlib.contextmanager
def stopped_store(service: Service) -> Iterator[None]:
    """Kill the store, and keep `up` from starting it again for a while."""
    service.bridge.process.popen.send_signal(signal.SIGSTOP)
    try:
        service.kill("store")
        yield
    finally:
        service.bridge.process.popen.send_signal(signal.SIGCONT)


async def test_api_and_worker_outlive_their_store(service: Service, received: ReceivedPosts) -> None:
    """The store alone is killed and stays away for a while: 503 meanwhile, then all goes on in the same processes."""
    registrar = Registrar(service, received)
    await registrar.register(plan_jobs(random.Random(SEED), "ss", 60, within_s=(0.0, 5.0)))
    service.kills.clear()
    before = service.pids("api"), service.pids("worker")
    probe = ApiProbe(service)
    task = asyncio.create_task(probe.go_on())
    service.kill("store")
    await service.wait_ready()
    with stopped_store(service):
        await until(probe.was_refused)
    await service.wait_ready()
    if SOAKING:
        with stopped_store(service):
            await asyncio.sleep(45.0)
        await service.wait_ready()
    await wait_all_delivered(registrar, received)
    task.cancel()
    assert await check_all_ended(service, registrar, received) == {}
    assert {status for status, _ in probe.answers} == {200, 201, 503}
    assert max(took for _, took in probe.answers) < 8.0
    assert before == (service.pids("api"), service.pids("worker"))


@contextlib.asynccontextmanager
async def full_store(service: Service) -> AsyncIterator[None]:
    """Let the store be at its memory limit for a while."""
    url = service.store_environment()["REELBRIDGE_REDIS_URL"]
    async with Redis.from_url(url) as redis:
        await redis.config_set("maxmemory", "1")
        try:
            yield
        finally:
            await redis.config_set("maxmemory", "0")


async def test_a_full_store_takes_nothing_new_and_finishes_what_it_has(
    service: Service, received: ReceivedPosts
) -> None:
    """At maxmemory: 503 for registrations; what is watched is polled, told and ended, by new processes too."""
    registrar = Registrar(service, received)
    service.kills.clear()
    await registrar.register(plan_jobs(random.Random(SEED), "fu", 60, within_s=(2.0, 5.0)))
    inbox = await service.bridge.register(job_id="fu0", callback_url="inbox:")
    async with full_store(service):
        status, refused = await register_one(service)
        assert (status, refused["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        service.kill("worker")
        service.kill("api")
        await wait_all_delivered(registrar, received)
        await service.wait_ready()
        await check_all_ended(service, registrar, received)
        status, refused = await register_one(service)
        assert status == 503, refused
        _, seen = await service.bridge.call("GET", f"/v1/callbacks/{inbox['id']}")
        assert seen["state"] == "ended"
        assert len(service.pids("worker")) == 1
    status, made = await register_one(service)
    assert status == 201, made
    await service.bridge.call("DELETE", f"/v1/callbacks/{made['id']}")


async def register_one(service: Service) -> tuple[int, Any]:
    body = {"job_id": "one-more", "callback_url": "inbox:"}
    return await service.bridge.call("POST", "/v1/callbacks", body)
