"""The faults that are injected, one after the other in an order of chance, each at any moment."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.chaos.fleet import LEASE_S, Fleet
from tests.e2e.chaos.moody_receivers import MoodyReceivers
from tests.e2e.crash.killable_service import Victim
from tests.e2e.crash.registrar import Registrar
from tests.e2e.crash.slow_disk import Disk
from tests.e2e.processes import until

IN_FLIGHT = 500  # callbacks that are watched while the faults go on
SLOW_S = 0.7  # what a registration takes at least on the slow disk
STORM: Mapping[str, dict[str, Any]] = {
    "upstream answers 5xx": {"status": 503},
    "upstream answers 429": {"status": 429, "headers": {"Retry-After": "1"}},
}


@dataclass
class FaultInjector:
    """Injects every kind of fault in turn while registrations and deliveries go on."""

    fleet: Fleet
    registrar: Registrar
    received: MoodyReceivers
    disk: Disk | None
    dice: random.Random
    long: bool  # whether it takes the time for absences that outlast leases, and for a supervisor that is killed
    injected: Counter[str] = field(default_factory=Counter)
    took_s: list[tuple[str, float]] = field(default_factory=list)

    @property
    def kinds(self) -> Sequence[Mapping[str, Callable[[], Awaitable[None]]]]:
        """Each kind of fault by its name: those of the service, of the other worker, and of the upstream."""

        def killing(victim: Victim) -> Callable[[], Awaitable[None]]:
            return lambda: self._kill(victim)

        def storm(name: str) -> Callable[[], Awaitable[None]]:
            return lambda: self._storm(STORM[name])

        supervisor = {"`up` killed": killing("up")} if self.long else {}
        return (
            {
                "worker killed": killing("worker"),
                "API killed": killing("api"),
                "store killed": killing("store"),
                "all killed, on a slow disk": killing("all"),
                **supervisor,
            },
            {
                "other worker killed": self._kill_outside,
                "other worker cut off from the store": self._cut_off,
                "other worker stopped": self._stop,
                "other worker's clock jumped": self._move_clock,
                "other worker replaced": self.fleet.replace_outside,
            },
            {name: storm(name) for name in STORM},
        )

    async def inject_all(self) -> None:
        """Inject every kind once: one after the other of each group, the groups at the same time."""
        async with asyncio.TaskGroup() as group:
            for kinds in self.kinds:
                group.create_task(self._inject(kinds))

    async def _inject(self, kinds: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        for name in self.dice.sample(sorted(kinds), len(kinds)):
            await asyncio.sleep(self.dice.uniform(0.05, 0.6))  # at any moment
            began = time.monotonic()
            await kinds[name]()
            await self.fleet.service.wait_ready()
            await self.fleet.wait_outside()
            self.injected[name] += 1
            self.took_s.append((name, time.monotonic() - began))

    async def _kill(self, victim: Victim) -> None:
        service, slowed = self.fleet.service, self.disk if victim == "all" else None
        with slowed.slow() if slowed else contextlib.nullcontext():
            await self._wait_for_traffic(slow=slowed is not None)
            assert service.kill(victim) > 0, victim
        if victim in ("all", "up"):
            service.launch()
        await service.wait_ready()
        self.fleet.find_store()

    async def _kill_outside(self) -> None:
        await self._wait_for_traffic()
        self.fleet.kill_outside()

    async def _cut_off(self) -> None:
        await self._wait_for_traffic()
        async with self.fleet.cut_off():
            await asyncio.sleep(self._draw_absence())

    async def _stop(self) -> None:
        await self._wait_for_traffic()
        async with self.fleet.stopped():
            await asyncio.sleep(self._draw_absence())

    async def _move_clock(self) -> None:
        await self.fleet.move_clock(self.dice.uniform(0.5, 1.5))

    async def _storm(self, answer: dict[str, Any]) -> None:
        """Let the upstream answer so for a while, again where it was not asked, since all of the bridge may be down."""
        simulator = self.fleet.service.simulator

        async def was_met() -> bool:
            for_s = self.dice.uniform(0.5, 2.0)
            fault = await simulator.control("POST", "/faults", {**answer, "for_s": for_s})
            await asyncio.sleep(for_s)
            left = {each["id"]: each["met"] for each in (await simulator.control("GET", "/faults"))["data"]}
            return bool(left.get(fault["id"], 1) > 0)

        await until(was_met, within_s=60)

    def _draw_absence(self) -> float:
        if self.long and self.dice.random() < 0.5:
            return LEASE_S + 2.0
        return self.dice.uniform(0.5, 3.0)

    async def _wait_for_traffic(self, *, slow: bool = False) -> None:
        """Wait until some POSTs are being answered just now; on a slow disk until registrations waited for it, too."""
        before = len(self.registrar.took_s)
        wanted = before + self.dice.randint(1, 8)

        async def is_busy() -> bool:
            took_s = self.registrar.took_s
            waited = max(took_s[before:], default=0.0) > SLOW_S and len(took_s) >= wanted
            return self.received.open >= 3 and (waited or not slow)

        await until(is_busy, within_s=60, every_s=0.001)
        assert self.registrar.count_waiting() >= IN_FLIGHT
