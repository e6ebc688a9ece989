"""Every fault that we know of, one after the other under load: nothing is lost, invented or repeated without a reason."""

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.chaos.books import Accepted, Books, balance
from tests.e2e.chaos.faults import FaultInjector
from tests.e2e.chaos.fleet import Fleet, running_fleet
from tests.e2e.chaos.moody_receivers import MoodyReceivers
from tests.e2e.crash.checks import NOTHING, list_since
from tests.e2e.crash.job_plans import PlannedJob, plan_jobs
from tests.e2e.crash.killable_service import Service, sweep_once
from tests.e2e.crash.registrar import Registrar
from tests.e2e.crash.slow_disk import Disk
from tests.e2e.crash.soak_options import ROUNDS, SEED, SOAKING
from tests.e2e.processes import until
from tests.upgrade.version_before import has_history, running_worker_before

ENDPOINTS = 3
WAITING_JOBS = 460  # every tenth has two callbacks; they end when the faults are over
PASSING_JOBS = 3000  # end while the faults go on; as many of them as it takes
OLD_JOBS, MOST_OLD_JOBS = (
    60,
    1000,
)  # end while a worker of the version before runs, and until it has sent something
FIRST_TIMEOUT_S = 0.2  # a client that breaks off its first request, if the disk is slow
SETTLED_S = 90.0
OPEN = {"pending", "in_flight"}
REPAIR_LOGGED = "sweep.proved"  # told at this log level only where something was repaired

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 120 * ROUNDS)]


@dataclass
class Chaos:
    """All that the rounds share."""

    service: Service
    received: MoodyReceivers
    endpoints: dict[str, str] = field(default_factory=dict)  # id -> place
    books: Books = field(default_factory=Books)
    injected: Counter[str] = field(default_factory=Counter)
    callbacks: int = 0

    async def make_endpoints(self) -> None:
        """Make the endpoints, as soon as no worker of the version before is left."""
        for number in range(ENDPOINTS):
            place = f"endpoint-{number}"

            async def make(at: str = place, number: int = number) -> str:
                status, made = await self.service.bridge.call(
                    "POST", "/v1/endpoints", {"url": self.received.url(number, at)}
                )
                assert status in (201, 409), made
                return str(made["id"]) if status == 201 else ""

            self.endpoints[await until(make, within_s=60)] = place

    async def close_books(
        self, registrar: Registrar, plans: Iterable[PlannedJob], fleet: Fleet | None = None
    ) -> None:
        """Wait until nothing is under way, and compare everything since the registrar began."""
        endpoints = self.endpoints if fleet else {}
        accepted = list(self._list_accepted(registrar, plans, endpoints))
        await self._wait_settled(registrar, sum(len(each.places) for each in accepted))
        began = registrar.began_ms / 1000
        found = balance(
            accepted,
            events=await list_since(self.service, "/v1/events", registrar.began_ms),
            deliveries=await list_since(self.service, "/v1/deliveries", registrar.began_ms),
            arrivals=[each for each in self.received.arrivals if each.arrived_at >= began],
            kills=self.service.kills,
            away=fleet.away if fleet else (),
        )
        self.callbacks += len(registrar.watched)
        self.books.add(found)

    def _list_accepted(
        self, registrar: Registrar, plans: Iterable[PlannedJob], endpoints: dict[str, str]
    ) -> Iterable[Accepted]:
        for plan in plans:
            callbacks = {registrar.watched[hook].id: hook for hook in plan.hooks if hook in registrar.watched}
            if callbacks:
                yield Accepted(job=plan.id, ending=plan.ending, places=callbacks | endpoints)
            for part, ending in plan.parts.items() if callbacks else ():
                yield Accepted(job=part, ending=ending, places=endpoints)

    async def _wait_settled(self, registrar: Registrar, expected: int) -> None:
        """Wait until there are as many deliveries as expected and none is open; the books name what is missing then."""
        deadline = time.monotonic() + SETTLED_S
        while time.monotonic() < deadline:
            found = await list_since(self.service, "/v1/deliveries", registrar.began_ms)
            if len(found) >= expected and not OPEN & {each["state"] for each in found}:
                return
            await asyncio.sleep(0.5)


def is_running(task: asyncio.Task[Any], _: object) -> bool:
    """Return whether there is still work for the other side of a round."""
    return not task.done()


async def run_beside_the_version_before(chaos: Chaos, dice: random.Random, folder: Path) -> None:
    """Let a worker of the version before do its share, and stop it as a rolling restart does."""
    registrar = Registrar(chaos.service, chaos.received)
    plans = plan_jobs(dice, "old", MOST_OLD_JOBS, within_s=(1.0, 3.0))
    with running_worker_before(folder / "before", chaos.service.store_environment()) as before:

        def has_delivered(_: object) -> bool:
            return any("delivery.attempted" in line for line in before.lines)

        await registrar.register(plans[:OLD_JOBS])
        for worker in chaos.service.pids(
            "worker"
        ):  # `up` starts another one, and meanwhile the old one is alone
            os.kill(worker, signal.SIGTERM)
        more = itertools.takewhile(lambda _: not has_delivered(_), plans[OLD_JOBS:])
        await registrar.register(more, at_once=4, gap_s=0.1)

        async def all_told() -> bool:
            return registrar.count_waiting() == 0

        await until(all_told, within_s=60)
    assert has_delivered(None)
    chaos.injected["worker of the version before replaced"] += 1
    await chaos.close_books(registrar, plans)
    await sweep_once(
        chaos.service
    )  # the lists that the version before does not keep are mended within minutes


async def run_round(chaos: Chaos, fleet: Fleet, dice: random.Random, number: int, disk: Disk | None) -> None:
    """Inject every fault once while jobs are registered and end, let the rest end, and close the books."""
    registrar = Registrar(chaos.service, chaos.received)
    injector = FaultInjector(fleet, registrar, chaos.received, disk, dice, long=SOAKING)
    waiting = plan_jobs(dice, f"w{number}x", WAITING_JOBS, within_s=None)
    passing = plan_jobs(dice, f"p{number}x", PASSING_JOBS, within_s=(0.0, 4.0))
    await registrar.register([*waiting, *passing[:100]])
    async with asyncio.TaskGroup() as group:
        injecting = group.create_task(injector.inject_all())
        meanwhile = itertools.takewhile(partial(is_running, injecting), passing[100:])
        group.create_task(
            registrar.register(meanwhile, at_once=6, gap_s=0.4, first_timeout_s=FIRST_TIMEOUT_S)
        )
    chaos.injected += injector.injected
    sys.stderr.write(
        "".join(f"\n{name}: ready again after {took_s:.1f} s" for name, took_s in injector.took_s)
    )
    repaired = await sweep_once(chaos.service)
    assert sum(repaired.values()) <= len(chaos.service.kills), repaired
    begun = [len(chaos.service.lines), len(fleet.lines)]
    await registrar.end(dice.sample(waiting, len(waiting)))
    await chaos.close_books(registrar, [*waiting, *passing], fleet)
    for lines, start in zip((chaos.service.lines, fleet.lines), begun, strict=True):
        assert any("delivery.attempted" in line for line in lines[start:]), "it did none of the work"
        assert not [line for line in lines[start:] if REPAIR_LOGGED in line]


def describe(chaos: Chaos, *, took_s: float) -> Sequence[str]:
    """Return the lines of the table in docs/reliability.md."""
    books, received = chaos.books, Counter[str](each.fate for each in chaos.received.arrivals)
    rows = [
        ("seed, rounds, seconds", f"{SEED}, {ROUNDS}, {took_s:.0f}"),
        *((f"injected: {name}", count) for name, count in sorted(chaos.injected.items())),
        *(
            (f"injected: {name}", received[fate])
            for fate, name in (
                ("busy", "receiver answered 503"),
                ("late", "receiver answered after the time limit"),
                ("reset", "receiver read the request and reset the connection"),
            )
        ),
        ("registrations accepted", chaos.callbacks),
        ("events expected, one for each job", books.events),
        ("deliveries expected, to callbacks and endpoints", books.deliveries),
        ("delivered", books.delivered),
        ("parked, all at receivers that refuse for ever", books.parked),
        ("parked, because the one attempt after an unanswered one failed too", books.exhausted),
        ("**lost**", f"**{books.lost}**"),
        *((f"repeated: {reason}", count) for reason, count in sorted(books.repeated.items())),
    ]
    return [f"| {name} | {value} |" for name, value in rows]


async def test_the_books_balance_whatever_fails(
    service: Service, received: MoodyReceivers, any_disk: Disk | None, tmp_path: Path
) -> None:
    """Each accepted registration leads to one event, that to one delivery for each subscription, and that to its end."""
    began, dice = time.monotonic(), random.Random(SEED)
    service.kills.clear()
    chaos = Chaos(service, received)
    if has_history():
        await run_beside_the_version_before(chaos, dice, tmp_path)
    await chaos.make_endpoints()
    async with running_fleet(service) as fleet:
        for number in range(ROUNDS):
            await run_round(chaos, fleet, dice, number, any_disk)
            assert chaos.books.problems == [], "\n".join(chaos.books.problems[:10])
            assert chaos.books.exhausted <= chaos.books.deliveries // 100
        assert await sweep_once(service) == NOTHING
    sys.stdout.write("\n" + "\n".join(describe(chaos, took_s=time.monotonic() - began)) + "\n")
