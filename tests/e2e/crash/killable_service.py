"""`reelbridge up` on one data directory, whose processes are killed and started again."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp

from bridge.config.settings import load_settings
from bridge.container import open_services
from tests.e2e.processes import (
    READY_S,
    Bridge,
    Process,
    Simulator,
    bridge_env,
    find_children,
    free_port,
    reelbridge,
    until,
)
from workers.sweep import prove

Victim = Literal["worker", "api", "store", "up", "all"]
SETTINGS = {
    "REELBRIDGE_POLL_SCALE": "0.2",
    "REELBRIDGE_ATTEMPT_TIMEOUT": "2",
    "REELBRIDGE_RETRY_SCHEDULE": "0.2,0.4,0.8,1.5,2,2,2,2,2,2,2,2,2,2,2,2",
}
COMMAND_LINES = {"worker": "-m workers", "api": "bridge.cli.main api"}


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Who was killed, and between which times."""

    victim: Victim
    began: float
    ended: float


@dataclass
class Service:
    """`reelbridge up` on one data directory and one port, to be killed and started again."""

    simulator: Simulator
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    kills: list[Kill] = field(default_factory=list)
    past_lines: list[str] = field(default_factory=list)
    _bridge: Bridge | None = None

    @property
    def bridge(self) -> Bridge:
        """The latest start of it."""
        assert self._bridge is not None, "start it first"
        return self._bridge

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        return bridge_env(self.simulator, self.data_dir, self.port, **{**SETTINGS, **self.settings})

    @property
    def lines(self) -> list[str]:
        """All output so far, of former lives too."""
        return [*self.past_lines, *self.bridge.process.lines]

    def launch(self) -> None:
        """Start `up`; `wait_ready` waits for it."""
        if self._bridge is not None:
            self.past_lines += self._bridge.process.lines
        process = reelbridge("up", env=self.environment, cwd=self.folder)
        self._bridge = Bridge(url=f"http://127.0.0.1:{self.port}", process=process, data_dir=self.data_dir)

    def start(self) -> None:
        """Start `up` and wait until it is ready."""
        self.launch()
        self.bridge.process.wait_for(r"callback_url", within_s=READY_S)

    def pids(self, victim: Victim) -> list[int]:
        """Give the processes of one part, or of all of the service."""
        if victim == "up":
            return [self.bridge.process.popen.pid]
        if victim == "store":
            return find_servers(self.data_dir)
        if victim == "all":
            mine = self.bridge.process.popen.pid
            return [mine, *find_children(mine, ""), *find_servers(self.data_dir)]
        return self.bridge.pids(COMMAND_LINES[victim])

    def store_environment(self) -> dict[str, str]:
        """Give the environment of a process that shares this service's store."""
        socket = json.loads(next((self.data_dir / "store").glob("*/server.json")).read_text())["socket"]
        return {
            **self.environment,
            "REELBRIDGE_REDIS_URL": f"unix://{socket}",
            "REELBRIDGE_MASTER_KEYS": (self.data_dir / "master-keys").read_text().strip(),
        }

    def kill(self, victim: Victim) -> int:
        """Kill with -9, all processes of the victim at once; give how many."""
        pids = set(self.pids(victim))
        began = time.time()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim in ("up", "all"):
            self.bridge.process.popen.wait(10)
        self.kills.append(Kill(victim=victim, began=began, ended=time.time()))
        return len(pids)

    async def wait_ready(self, *, within_s: float = 60.0) -> None:
        """Wait until the API answers, its store behind it, and a worker runs."""

        async def ready() -> bool:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                status, _ = await self.bridge.call("GET", "/readyz")
                return status == 200 and bool(self.pids("worker"))
            return False

        await until(ready, within_s=within_s)


def find_servers(data_dir: Path) -> list[int]:
    """Find the store's servers by the directory they work in: one that was adopted is nobody's child."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(data_dir / "store"):
                    found.append(int(process.name))
    return found


async def sweep_once(service: Service) -> dict[str, int]:
    """Run the sweep's proof here, on the service's store; give what it had to repair."""
    environment = service.store_environment()
    settings = load_settings(
        redis_url=environment["REELBRIDGE_REDIS_URL"], master_keys=environment["REELBRIDGE_MASTER_KEYS"]
    )
    async with open_services(settings) as services:
        return await prove(services)


@contextlib.contextmanager
def running_service(simulator: Simulator, folder: Path, **settings: str) -> Iterator[Service]:
    """Run a service for a while; what a test leaves behind is killed."""
    service = Service(simulator=simulator, folder=folder, settings=settings)
    service.start()
    try:
        yield service
    finally:
        process: Process = service.bridge.process
        try:
            process.stop()
        finally:
            (folder / "output.log").write_text("\n".join(service.lines))  # pytest keeps it for a while
            for pid in find_servers(service.data_dir):
                os.kill(pid, signal.SIGKILL)
