"""Nothing is lost, doubled or silent when processes are killed with -9."""

import asyncio
import contextlib
import itertools
import random
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.crash.checks import NOTHING, check_all_ended, describe_lag, wait_all_delivered
from tests.e2e.crash.job_plans import plan_jobs
from tests.e2e.crash.killable_service import Service, Victim, sweep_once
from tests.e2e.crash.received_posts import ReceivedPosts
from tests.e2e.crash.registrar import Registrar
from tests.e2e.crash.slow_disk import Disk
from tests.e2e.crash.soak_options import ROUNDS, SEED, SOAKING
from tests.e2e.processes import reelbridge, until

VICTIMS: tuple[Victim, ...] = ("worker", "all", "store", "api")
IN_FLIGHT = 500
WAITING_JOBS = 460  # every tenth has two callbacks
PASSING_JOBS = 3000  # end while the killing goes on; as many of them as it takes
FIRST_TIMEOUT_S = 0.2  # a client that breaks off its first request, if the disk is slow
SLOW_S = 0.7
REPAIR_LOGGED = "sweep.proved"  # told at this log level only where something was repaired

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + 120 * ROUNDS)]


@dataclass(frozen=True)
class KillRound:
    """All that a round of kills needs."""

    service: Service
    registrar: Registrar
    received: ReceivedPosts
    disk: Disk | None
    dice: random.Random

    async def kill_in_turn(self) -> list[str]:
        """Kill every victim once; say how long each took to be ready again, and what was in flight."""
        victims = self.dice.sample([*VICTIMS, "up"], len(VICTIMS) + 1) if SOAKING else VICTIMS
        return [await self._kill(victim) for victim in victims]

    async def _kill(self, victim: Victim) -> str:
        await asyncio.sleep(self.dice.uniform(0.1, 1.0))  # at any moment
        slowed = self.disk if victim == "all" else None
        with slowed.slow() if slowed else contextlib.nullcontext():
            await self._wait_for_traffic(slow=slowed is not None)
            waiting, posting = self.registrar.count_waiting(), self.received.open
            assert waiting >= IN_FLIGHT
            assert self.service.kill(victim) > 0, victim
        began = time.monotonic()
        if victim in ("all", "up"):
            self.service.launch()
        await self.service.wait_ready()
        took_s = time.monotonic() - began
        return f"{victim} {took_s:.1f} s ({waiting} callbacks and {posting} POSTs in flight)"

    async def _wait_for_traffic(self, *, slow: bool) -> None:
        """Wait until some POSTs are being answered just now; on a slow disk until registrations waited for it, too."""
        before = len(self.registrar.took_s)
        wanted = before + self.dice.randint(1, 8)

        async def is_busy() -> bool:
            took_s = self.registrar.took_s
            waited = max(took_s[before:], default=0.0) > SLOW_S and len(took_s) >= wanted
            return self.received.open >= 3 and (waited or not slow)

        await until(is_busy, within_s=60, every_s=0.001)


@contextlib.asynccontextmanager
async def second_worker(service: Service) -> AsyncIterator[None]:
    """Run `reelbridge worker` beside the service's own: both send, and no sweep of either has work."""
    begun = len(service.lines)
    second = reelbridge("worker", env=service.store_environment(), cwd=service.folder)
    try:
        await asyncio.to_thread(second.wait_for, "worker.ready")
        yield
    finally:
        status = await asyncio.to_thread(second.stop)
    assert status == 0
    for lines in (second.lines, service.lines[begun:]):
        assert any("delivery.attempted" in line for line in lines)
        assert not [line for line in lines if REPAIR_LOGGED in line]


def is_running(task: asyncio.Task[Any], _: object) -> bool:
    """Say whether there is still work for the other side of a round."""
    return not task.done()


async def test_every_acknowledged_callback_hears_of_its_end_once(
    service: Service, received: ReceivedPosts, any_disk: Disk | None
) -> None:
    """kill -9 of worker, API, store and of everything (on a slow disk), while 500 callbacks are in flight.

    The jobs that wait for the end of the killing then end with two workers at work.
    """
    dice = random.Random(SEED)
    registrar = Registrar(service, received)
    kill_round = KillRound(service, registrar, received, any_disk, dice)
    service.kills.clear()
    told: list[str] = []
    for number in range(ROUNDS):
        waiting = plan_jobs(dice, f"w{number}x", WAITING_JOBS, within_s=None)
        passing = plan_jobs(dice, f"p{number}x", PASSING_JOBS, within_s=(0.0, 6.0))
        await registrar.register([*waiting, *passing[:100]])
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(kill_round.kill_in_turn())
            meanwhile = itertools.takewhile(partial(is_running, killing), passing[100:])
            group.create_task(
                registrar.register(meanwhile, at_once=6, gap_s=0.4, first_timeout_s=FIRST_TIMEOUT_S)
            )
        told += killing.result()
        repaired = await sweep_once(service)
        assert sum(repaired.values()) <= len(VICTIMS) + 1, repaired
        async with second_worker(service):
            await registrar.end(dice.sample(waiting, len(waiting)))
            await wait_all_delivered(registrar, received)
    doubles = await check_all_ended(service, registrar, received)
    assert await sweep_once(service) == NOTHING
    sys.stderr.write(  # the figures, for whoever runs with -s
        f"\nseed {SEED}: {len(service.kills)} kills, {len(registrar.watched)} callbacks,"
        f" {registrar.repeats} requests without an answer repeated, {registrar.broken} broken off,"
        f" answers {dict(registrar.statuses)}, slowest {registrar.slowest_s:.1f} s, doubles {doubles};"
        f"\nready again: {', '.join(told)};"
        f"\nall settled {time.time() - service.kills[-1].ended:.1f} s after the last kill;"
        f" {describe_lag(registrar, received)}\n"
    )
