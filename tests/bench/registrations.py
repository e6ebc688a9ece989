"""Registrations: a real `reelbridge api`, then a bare one, on the worker's core, and one client on the other core."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from tests.bench.bare import bare_session
from tests.bench.ground import API_KEY, Ground, make_environment, name_job, on_core, running_store
from tests.bench.meter import Meter, Speed, cpu_clock, drive

ROOT = Path(__file__).parents[2]
READY_S = 60.0
LOOK_S = 0.05


class Registrations:
    """Measures `POST /v1/callbacks`, each for another job and answered when it is on disk."""

    def __init__(self, ground: Ground, session: aiohttp.ClientSession, *, port: int, process: int) -> None:
        """Take where the API listens, and its process id."""
        self._ground = ground
        self._session = session
        self._url = f"http://127.0.0.1:{port}/v1/callbacks"
        self._cpu_s = cpu_clock(process)
        self._number = 0
        self.latencies_ms: list[float] = []

    async def measure(self, *, warm_up: int, measured: int) -> Speed:
        """Register as fast as the API can; the processor time is the API's."""
        with on_core(self._ground.cores.other):
            meter = Meter(warm_up=warm_up, measured=measured, cpu_s=self._cpu_s)
            return await drive(meter, self._register, slots=self._ground.size.slots)

    async def _register(self, _: int) -> None:
        self._number += 1
        body = {"job_id": name_job(self._number), "callback_url": self._ground.stub.hook(self._number)}
        began = time.perf_counter()
        async with self._session.post(self._url, json=body) as answer:
            assert answer.status == 201, await answer.text()
            await answer.read()
        self.latencies_ms.append((time.perf_counter() - began) * 1000)


@asynccontextmanager
async def ready_to_register(ground: Ground) -> AsyncIterator[tuple[Registrations, Registrations]]:
    """Start the bridge's API and the bare one, each over a fresh store; yields what measures them, in this order."""
    async with (
        running_store(ground, "registrations") as store,
        running_store(ground, "bare-registrations") as bare_store,
        bare_session(Authorization=f"Bearer {API_KEY}") as session,
    ):
        environment = make_environment(ground, store, poll_scale=1.0)
        with running_api(ground, environment) as (api, log), _running_bare(ground, bare_store) as (bare, at):
            port = await wait_ready(log)
            yield (
                Registrations(ground, session, port=port, process=api),
                Registrations(ground, session, port=at, process=bare),
            )


@contextmanager
def running_api(ground: Ground, environment: dict[str, str]) -> Iterator[tuple[int, Path]]:
    """Run the API as installed; yields its process id and its log."""
    log = ground.folder / "api.log"
    program = [str(Path(sys.executable).with_name("reelbridge")), "api"]
    with (
        log.open("wb") as output,
        on_core(ground.cores.worker),
        subprocess.Popen(program, env={**os.environ, **environment}, stderr=output) as process,
    ):
        try:
            yield process.pid, log
        finally:
            process.terminate()


@contextmanager
def _running_bare(ground: Ground, redis_url: str) -> Iterator[tuple[int, int]]:
    """Run the bare API; yields its process id and its port."""
    program = [sys.executable, "-m", "tests.bench.bare_api", redis_url]
    with (
        on_core(ground.cores.worker),
        subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


async def wait_ready(log: Path) -> int:
    """Wait until the API listens, and return its port."""
    async with asyncio.timeout(READY_S):
        while (port := _find_port(log)) is None:  # noqa: ASYNC110 -- a log is a file, nobody tells of its growth
            await asyncio.sleep(LOOK_S)
    return port


def _find_port(log: Path) -> int | None:
    """Find in the API's log where it listens; None before it does."""
    ready = (line for line in log.read_text().splitlines() if '"api.ready"' in line)
    return next((int(json.loads(line)["port"]) for line in ready), None)
