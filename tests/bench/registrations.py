"""Registrations: a real `reelbridge api` on the worker's core, and clients on the other one."""

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
from tests.bench.meter import Meter, Speed, drive

READY_S = 60.0
LOOK_S = 0.05


class Registrations:
    """Measures `POST /v1/callbacks`, each for another job and answered when it is on disk."""

    def __init__(self, ground: Ground, session: aiohttp.ClientSession, url: str) -> None:
        self._ground = ground
        self._session = session
        self._url = url
        self._number = 0
        self.latencies_ms: list[float] = []

    async def measure(self, *, warm_up: int, measured: int) -> Speed:
        """Register as fast as the API can; the processor time is the clients'."""
        with on_core(self._ground.cores.other):
            meter = Meter(warm_up=warm_up, measured=measured)
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
async def ready_to_register(ground: Ground) -> AsyncIterator[Registrations]:
    """Start an API over a fresh store."""
    async with running_store(ground, "registrations") as store_url:
        environment = make_environment(ground, store_url, poll_scale=1.0)
        with _running_api(ground, environment) as log:
            port = await _wait_ready(log)
            async with bare_session(Authorization=f"Bearer {API_KEY}") as session:
                yield Registrations(ground, session, f"http://127.0.0.1:{port}/v1/callbacks")


@contextmanager
def _running_api(ground: Ground, environment: dict[str, str]) -> Iterator[Path]:
    """Run the API as installed; gives its log."""
    log = ground.folder / "api.log"
    program = [str(Path(sys.executable).with_name("reelbridge")), "api"]
    with (
        log.open("wb") as output,
        on_core(ground.cores.worker),
        subprocess.Popen(program, env={**os.environ, **environment}, stderr=output) as process,
    ):
        try:
            yield log
        finally:
            process.terminate()


async def _wait_ready(log: Path) -> int:
    async with asyncio.timeout(READY_S):
        while (port := _find_port(log)) is None:  # noqa: ASYNC110 -- a log is a file, nobody tells of its growth
            await asyncio.sleep(LOOK_S)
    return port


def _find_port(log: Path) -> int | None:
    """Find in the API's log where it listens; None before it does."""
    ready = (line for line in log.read_text().splitlines() if '"api.ready"' in line)
    return next((int(json.loads(line)["port"]) for line in ready), None)
