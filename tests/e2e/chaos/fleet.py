"""What is killed, cut off and moved: `reelbridge up`, and a worker on another machine, as it were."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.chaos.clock_worker import AHEAD, BACK, MOVED
from tests.e2e.crash.killable_service import Kill, Service
from tests.e2e.failover.relay import Relay, running_relay
from tests.e2e.processes import Process, until

LEASE_S = 17.0  # of an attempt, at the time limit of these tests
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Away:
    """When a worker could not write down what it had sent, though it lived: stopped, or cut off from the store."""

    how: str
    began: float
    ended: float

    @property
    def outlasts_leases(self) -> bool:
        """Whether others may have taken over what it had in flight."""
        return self.ended - self.began > LEASE_S - 2.0


@dataclass
class Fleet:
    """A service, and one more worker, which reaches the service's store through a relay and has a clock of its own."""

    service: Service
    relay: Relay
    away: list[Away] = field(default_factory=list)
    past: list[Process] = field(default_factory=list)
    _outside: Process | None = None

    @property
    def outside(self) -> Process:
        """The latest start of the worker outside."""
        assert self._outside is not None, "start it first"
        return self._outside

    @property
    def lines(self) -> list[str]:
        """All output so far of the workers outside."""
        return [line for each in (*self.past, self.outside) for line in each.lines]

    def start_outside(self) -> None:
        """Start the worker outside."""
        self.find_store()
        env = self.service.store_environment() | {
            "REELBRIDGE_REDIS_URL": f"redis://127.0.0.1:{self.relay.port}"
        }
        if self._outside is not None:
            self.past.append(self._outside)
        self._outside = Process(sys.executable, "-m", "tests.e2e.chaos.clock_worker", env=env, cwd=ROOT)

    def find_store(self) -> None:
        """Let the relay lead to where the store listens now."""
        facts = next((self.service.data_dir / "store").glob("*/server.json"))
        self.relay.target = Path(json.loads(facts.read_text())["socket"])

    async def wait_outside(self) -> None:
        """Wait until the worker outside is ready."""
        await asyncio.to_thread(self.outside.wait_for, "worker.ready")

    def kill_outside(self) -> None:
        """Kill the worker outside with -9, and start another one."""
        began = time.time()
        self.outside.kill()
        self.service.kills.append(Kill(victim="worker", began=began, ended=time.time()))
        self.start_outside()

    async def replace_outside(self) -> None:
        """Start another worker outside, then stop the former one as a rolling restart does."""
        former = self.outside
        self.start_outside()
        await self.wait_outside()
        assert await asyncio.to_thread(former.stop) == 0

    async def move_clock(self, for_s: float) -> None:
        """Let the clock of the worker outside jump an hour ahead, and back after a while."""
        for each in (AHEAD, BACK):
            wanted = self._count_moves() + 1

            async def has_moved(wanted: int = wanted) -> bool:
                return self._count_moves() == wanted

            os.kill(self.outside.popen.pid, each)
            await until(has_moved)
            await asyncio.sleep(for_s)

    def _count_moves(self) -> int:
        return len([line for line in self.outside.lines if MOVED in line])

    @contextlib.asynccontextmanager
    async def cut_off(self) -> AsyncIterator[None]:
        """Cut the worker outside off from the store for a while."""
        began = time.time()
        self.relay.cut()
        try:
            yield
        finally:
            self.relay.heal()
            self.away.append(Away(how="cut off", began=began, ended=time.time()))

    @contextlib.asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """Stop the worker outside in the middle of whatever it does, and let it go on."""
        began = time.time()
        os.kill(self.outside.popen.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.outside.popen.pid, signal.SIGCONT)
            self.away.append(Away(how="stopped", began=began, ended=time.time()))


@contextlib.asynccontextmanager
async def running_fleet(service: Service) -> AsyncIterator[Fleet]:
    """Run a worker outside beside a service for a while."""
    with running_relay() as relay:
        fleet = Fleet(service, relay)
        fleet.start_outside()
        try:
            await fleet.wait_outside()
            yield fleet
        finally:
            for each in (*fleet.past, fleet.outside):
                if each.popen.poll() is None:
                    each.kill()
            (service.folder / "outside.log").write_text("\n".join(fleet.lines))  # pytest keeps it for a while
