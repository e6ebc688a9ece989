"""Nothing is lost, doubled or silent when processes are killed with -9.

`make soak` runs the same for longer: REELBRIDGE_SOAK_ROUNDS, REELBRIDGE_SOAK_SEED.
"""

import asyncio
import itertools
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.e2e.crashing import (
    SIMULATOR_SPEED,
    Kill,
    Ledger,
    Post,
    Registrar,
    Service,
    Victim,
    plan_jobs,
    prove_once,
    running_ledger,
    running_service,
)
from tests.e2e.processes import Simulator, reelbridge, running_simulator, until

ROUNDS = int(os.environ.get("REELBRIDGE_SOAK_ROUNDS", "2"))
SEED = int(os.environ.get("REELBRIDGE_SOAK_SEED", "20261121"))
JOBS_A_ROUND = 230  # every tenth has two callbacks
NOTICING_S = 0.5  # and so long from a request's arrival to its being read
RECORDING_S = 1.0  # a loaded machine may take so long from an answer to its record
VICTIMS: tuple[Victim, ...] = ("worker", "api", "store", "all")
SOAKED: tuple[Victim, ...] = (*VICTIMS, "up") if ROUNDS > 2 else VICTIMS

NOTHING = {"polls": 0, "deliveries": 0, "resealed": 0}
PROOF_FAILED = "sweep.proved"  # told at this log level only where something was repaired

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash"), pytest.mark.timeout(180 + 90 * ROUNDS)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=SIMULATOR_SPEED) as running:
        yield running


@pytest.fixture(autouse=True)
async def unlimited(simulator: Simulator) -> None:
    """Rate limits are another test's matter."""
    await simulator.control("PUT", "/switches", {"rate_limiter": False})


@pytest.fixture(scope="module")
def service(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(simulator, tmp_path_factory.mktemp("crash")) as running:
        yield running


async def kill_in_turn(service: Service, dice: random.Random) -> list[tuple[str, float]]:
    """Kill every victim once, in any order, at any moment; give how long each took to be ready again."""
    took: list[tuple[str, float]] = []
    for victim in dice.sample(SOAKED, len(SOAKED)):
        await asyncio.sleep(dice.uniform(0.2, 2.0))
        assert service.kill(victim) > 0, victim
        began = time.monotonic()
        if victim in ("all", "up"):
            service.launch()
        await service.wait_ready()
        took.append((victim, time.monotonic() - began))
    return took


async def wait_all_heard(registrar: Registrar, ledger: Ledger, *, within_s: float) -> None:
    """Wait until every acknowledged callback has had an ending and nothing is on its way."""
    deadline = time.monotonic() + within_s
    while silent := [each for each in registrar.watched.values() if each.hook not in ledger.begun]:
        assert time.monotonic() < deadline, f"{len(silent)} never heard, such as {silent[:5]}"
        await asyncio.sleep(0.1)


async def wait_settled(service: Service, *, within_s: float = 60.0) -> int:
    """Wait until no delivery is under way any more; give how many there are."""

    async def settled() -> int | None:
        found, cursor = [], ""
        while True:
            status, page = await service.bridge.call("GET", f"/v1/deliveries?limit=100{cursor}")
            assert status == 200, page
            found += page["data"]
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len({(each["event_id"], each["callback_id"]) for each in found}) == len(found)
        return len(found) if {"succeeded"} == {each["state"] for each in found} else None

    return int(await until(settled, within_s=within_s, every_s=0.5))


def excuse(post: Post, kills: list[Kill]) -> str:
    """Name the kill that can have kept a POST's answer from being recorded; empty: none can."""
    for kill in kills:
        sent_before = post.came_at - NOTICING_S <= kill.ended
        if kill.victim in ("worker", "all") and sent_before and kill.began <= post.left_at + RECORDING_S:
            return kill.victim
    return ""


def check_once(registrar: Registrar, ledger: Ledger, service: Service) -> dict[str, int]:
    """Every callback heard one event, again only where a kill swallowed the record; give the doubles by kill."""
    doubles: dict[str, int] = defaultdict(int)
    facts: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_hook = ledger.by_hook()
    for watched in registrar.watched.values():
        posts = by_hook[watched.hook]
        assert {watched.ending} == {each.type for each in posts}, (watched, posts)
        for earlier, later in itertools.pairwise(posts):
            reason = excuse(earlier, service.kills)
            assert reason, f"doubled: {watched}\n{earlier}\n{later}\nkills {service.kills}"
            doubles[reason] += 1
        for post in posts:
            facts[post.job, post.type].add(post.event)
    assert all(len(ids) == 1 for ids in facts.values()), "a fact has two ids"
    ids = [next(iter(found)) for found in facts.values()]
    assert len(set(ids)) == len(ids), "two facts have one id"
    return dict(doubles)


async def check_states(registrar: Registrar, service: Service) -> None:
    """Every callback reads `ended`."""
    for watched in registrar.watched.values():
        status, body = await service.bridge.call("GET", f"/v1/callbacks/{watched.id}")
        assert (status, body.get("state")) == (200, "ended"), body


async def test_every_acknowledged_callback_hears_of_its_end_once(service: Service) -> None:
    """kill -9 of worker, API, store and of everything, while hundreds of callbacks are in flight, again and again."""
    dice = random.Random(SEED)
    async with running_ledger(SEED) as ledger:
        registrar = Registrar(service, ledger)
        ready_s: list[tuple[str, float]] = []
        for number in range(ROUNDS):
            plans = plan_jobs(dice, f"r{number}x", JOBS_A_ROUND, within_s=(1.0, 8.0))
            async with asyncio.TaskGroup() as group:
                group.create_task(registrar.register(plans, at_once=12, gap_s=0.2))
                killing = group.create_task(kill_in_turn(service, dice))
            ready_s += killing.result()
        repaired = await prove_once(service)
        last_kill = service.kills[-1].ended
        await wait_all_heard(registrar, ledger, within_s=90)
        deliveries = await wait_settled(service)
        recovered_s = time.time() - last_kill
        doubles = check_once(registrar, ledger, service)
        await check_states(registrar, service)
        assert deliveries == len(registrar.watched)
        assert sum(repaired.values()) <= len(service.kills), repaired
        again = await prove_once(service)
        assert again == NOTHING
        lag = [ledger.begun[w.hook] - max(w.ends_at, w.answered_at) for w in registrar.watched.values()]
        sys.stderr.write(  # the figures, for whoever runs with -s
            f"\nseed {SEED}: {len(service.kills)} kills, {len(registrar.watched)} callbacks,"
            f" {registrar.repeats} requests repeated, answers {dict(registrar.statuses)},"
            f" slowest answer {registrar.slowest_s:.1f} s, doubles {doubles},"
            f" repaired after kills {repaired},"
            f"\nready again after {', '.join(f'{victim} {each:.1f}' for victim, each in ready_s)} s; all settled"
            f" {recovered_s:.1f} s after the last kill; told after the job's end"
            f" p50 {sorted(lag)[len(lag) // 2]:.1f} s, worst {max(lag):.1f} s\n"
        )


async def test_two_workers_do_nothing_twice(service: Service) -> None:
    """A second `reelbridge worker` beside the first: 500 callbacks, 500 POSTs, and no sweep has work."""
    dice = random.Random(SEED + 1)
    second = reelbridge("worker", env=service.store_environment(), cwd=service.folder)
    try:
        second.wait_for("worker.ready")
        async with running_ledger(SEED) as ledger:
            registrar = Registrar(service, ledger)
            plans = plan_jobs(dice, "two", 456, within_s=(1.0, 8.0))
            await registrar.register(plans, at_once=24)
            await wait_all_heard(registrar, ledger, within_s=60)
            await wait_settled(service)
            assert len(ledger.posts) == len(registrar.watched) >= 500
            assert check_once(registrar, ledger, service) == {}
            await check_states(registrar, service)
            repaired = await prove_once(service)
            assert repaired == NOTHING
    finally:
        assert second.stop() == 0
    attempts = [
        sum("delivery.attempted" in line for line in lines) for lines in (second.lines, service.lines)
    ]
    assert all(attempts), attempts
    assert not [line for line in service.lines + second.lines if PROOF_FAILED in line]
