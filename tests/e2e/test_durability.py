"""What was acknowledged stays: on a slow disk, through a stop and a start, without the store and with a full one."""

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Guard, Put
from tests.e2e.crashing import (
    SIMULATOR_SPEED,
    Ledger,
    Planned,
    Registrar,
    Service,
    plan_jobs,
    prove_once,
    running_ledger,
    running_service,
)
from tests.e2e.processes import Simulator, running_simulator, until

SEED = int(os.environ.get("REELBRIDGE_SOAK_SEED", "20261121"))
ROUNDS = int(os.environ.get("REELBRIDGE_SOAK_ROUNDS", "2"))
SLOW_ROUNDS = max(1, ROUNDS // 2)
AWAY_S = (0.0, 4.0) if ROUNDS <= 2 else (0.0, 4.0, 45.0)
FSYNC_MS = 1500
LEASE_S = 17  # of an attempt that was cut off, at the attempt timeout of these tests
NOTHING = {"polls": 0, "deliveries": 0, "resealed": 0}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash"), pytest.mark.timeout(180 + 60 * ROUNDS)]


@dataclass(frozen=True)
class Disk:
    """The store's disk: how long it takes to confirm a write."""

    shim: Path
    knob: Path

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Be slow for a while."""
        self.knob.write_text(str(FSYNC_MS))
        try:
            yield
        finally:
            self.knob.write_text("0")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        assert "CI" not in os.environ, "a C compiler is needed to make the disk slow"
        pytest.skip("no C compiler to make the disk slow with")
    folder = tmp_path_factory.mktemp("disk")
    source = Path(__file__).with_name("slow_disk.c")
    disk = Disk(shim=folder / "slow_disk.so", knob=folder / "knob")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", disk.shim, source, "-ldl"], check=True)
    disk.knob.write_text("0")
    return disk


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=SIMULATOR_SPEED) as running:
        yield running


@pytest.fixture(scope="module")
def service(simulator: Simulator, disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    shim = {"LD_PRELOAD": str(disk.shim), "SLOW_DISK_KNOB": str(disk.knob)}
    with running_service(simulator, tmp_path_factory.mktemp("durable"), **shim) as running:
        yield running


@pytest.fixture
async def ledger(simulator: Simulator) -> AsyncIterator[Ledger]:
    await simulator.control("PUT", "/switches", {"rate_limiter": False})
    async with running_ledger(SEED) as running:
        yield running


async def hear_all(registrar: Registrar, ledger: Ledger, *, within_s: float = 40.0) -> None:
    """Wait until every acknowledged callback was told its end."""

    async def heard() -> bool:
        return all(hook in ledger.begun for hook in registrar.watched)

    await until(heard, within_s=within_s)
    for watched in registrar.watched.values():
        assert watched.ending == ledger.told[watched.hook]


async def all_ended(service: Service, registrar: Registrar) -> bool:
    """Say whether nothing is under way any more."""
    for state in ("pending", "in_flight"):
        _, page = await service.bridge.call("GET", f"/v1/deliveries?state={state}")
        if page["data"]:
            return False
    states = [await service.bridge.call("GET", f"/v1/callbacks/{w.id}") for w in registrar.watched.values()]
    return all(body["state"] == "ended" for _, body in states)


def once_each(registrar: Registrar, ledger: Ledger) -> None:
    """Every callback got exactly one POST."""
    doubled = {hook: posts for hook, posts in ledger.by_hook().items() if len(posts) > 1}
    assert not doubled
    assert set(registrar.watched) == set(ledger.begun)


def ended_jobs(name: str, count: int) -> list[Planned]:
    """Plan jobs that have ended before they are registered."""
    return [
        Planned(
            job={
                "kind": "sync_job",
                "id": f"{name}{number}",
                "script": [{"after_s": 0, "set": {"status": "completed"}}],
            },
            fields={"job_id": f"{name}{number}"},
            ending="sync_job.completed",
        )
        for number in range(count)
    ]


async def polls_until(simulator: Simulator, stop: asyncio.Event) -> list[float]:
    """Give when the simulator was asked for jobs, in seconds of one clock, until told to stop."""
    await simulator.control("DELETE", "/requests")
    await stop.wait()
    lines = (await simulator.control("GET", "/requests"))["data"]
    return sorted(line["mono_ms"] / 1000 for line in lines if line["method"] == "GET")


async def test_a_registration_waits_for_a_slow_disk_and_polling_does_not(
    service: Service, simulator: Simulator, disk: Disk, ledger: Ledger
) -> None:
    """1.5 s an fsync: answers wait for it, reads go on, and no first POST comes before its registration's answer."""
    background = Registrar(service, ledger)
    await background.register(plan_jobs(random.Random(SEED), "bg", 30, within_s=(12.0, 14.0)))
    registrar = Registrar(service, ledger)
    with disk.slow():
        await asyncio.sleep(1.0)  # the fsync that runs is still a quick one
        stop = asyncio.Event()
        watching = asyncio.create_task(polls_until(simulator, stop))
        await registrar.register(ended_jobs("slow", 40), at_once=4)
        stop.set()
        polls = await watching
    # Valkey confirms at once what is with the system already; only while an fsync runs is a write kept back.
    assert sum(took > 1.0 for took in registrar.took_s) >= 4, registrar.took_s
    assert registrar.slowest_s < 8.0
    gaps = [after - before for before, after in itertools.pairwise(polls)]
    assert len(polls) > 20
    assert max(gaps) < 2.5, "polling stood still"
    await hear_all(registrar, ledger)
    for hook, watched in registrar.watched.items():
        assert ledger.begun[hook] >= watched.answered_at, "the POST came before the answer"
    await hear_all(background, ledger)
    await until(lambda: all_ended(service, registrar))


async def test_a_repeat_waits_for_the_disk_as_its_first_did(service: Service, disk: Disk) -> None:
    """A change that is in place already writes nothing: its repeat, over another connection, is no sooner durable."""
    url = service.store_environment()["REELBRIDGE_REDIS_URL"]
    async with Redis.from_url(url) as first, Redis.from_url(url) as second:
        with disk.slow():
            await asyncio.sleep(1.0)
            for number in itertools.count():  # some come when the fsync that runs is nearly over
                key = f"{{a}}:repeated:{number}"
                change = Change("a", (Guard(key, None),), (Put(key, b"x", 60_000),))
                took_s = await asyncio.gather(*(timed_commit(redis, change) for redis in (first, second)))
                assert number < 10, "the disk is not slow"
                if max(took_s) > 0.8:
                    break
        assert max(took_s) - min(took_s) < 0.3, "the repeat did not wait"


async def timed_commit(redis: Redis, change: Change) -> float:
    began = time.monotonic()
    assert await Committer(redis, aof=True).commit(change, new_work=True, durable=True) == "done"
    return time.monotonic() - began


async def test_a_lost_answer_doubles_nothing(
    service: Service, simulator: Simulator, disk: Disk, ledger: Ledger
) -> None:
    """The API dies between writing a registration and answering; its job ends; the repeat means the same callback."""
    (plan,) = ended_jobs("lost", 1)
    await simulator.control("POST", "/jobs", plan.job)
    body = {**plan.fields, "callback_url": ledger.url(0, "lost0")}

    async def found() -> list[Any]:
        return list((await service.bridge.call("GET", "/v1/callbacks?job_id=lost0"))[1]["data"])

    async def is_over() -> bool:
        return [each["state"] for each in await found()] == ["ended"]

    with disk.slow():
        await asyncio.sleep(1.0)
        lost = asyncio.create_task(service.bridge.call("POST", "/v1/callbacks", body))
        await until(found, every_s=0.01)
        assert not lost.done()
        service.kill("api")
    with pytest.raises(aiohttp.ClientError):
        await lost
    await service.wait_ready()
    await until(is_over)
    assert not ledger.begun, "delivered before any answer"
    status, again = await service.bridge.call("POST", "/v1/callbacks", body)
    assert (status, again["updated"], again["state"]) == (200, True, "ended")
    answered_at = time.time()

    async def told() -> bool:
        return bool(ledger.posts)

    await until(told)
    assert ledger.posts[0].came_at - answered_at < 5.0
    await asyncio.sleep(2.0)  # longer than a first delivery waits for its answer
    assert len(ledger.posts) == 1
    assert len(await found()) == 1


async def has_acknowledged(registrar: Registrar, wanted: int) -> bool:
    return len(registrar.watched) >= wanted


async def test_what_a_slow_disk_has_acknowledged_survives_kill_9(
    service: Service, disk: Disk, ledger: Ledger
) -> None:
    """All processes killed right after an answer, 1.5 s an fsync: every answered registration is told its end.

    Also one whose first request broke off and whose repeat changed nothing any more.
    """
    dice = random.Random(SEED)
    registrar = Registrar(service, ledger, impatient_s=0.1)
    for number in range(SLOW_ROUNDS):
        with disk.slow():
            await asyncio.sleep(1.0)
            wanted = len(registrar.watched) + dice.randint(1, 30)
            plans = plan_jobs(dice, f"sd{number}x", 60, within_s=(0.0, 4.0))
            registering = asyncio.create_task(registrar.register(plans, at_once=8))
            await until(partial(has_acknowledged, registrar, wanted), every_s=0)
            service.kill("all")
        service.launch()
        await registering
        await service.wait_ready()
    await hear_all(registrar, ledger, within_s=60)
    await until(lambda: all_ended(service, registrar))
    assert registrar.broken > 0
    assert await prove_once(service) == NOTHING


async def test_a_stop_drains_and_a_start_goes_on_at_once(service: Service, ledger: Ledger) -> None:
    """SIGTERM: attempts in flight end and are recorded, what was not begun waits for no lease; nothing is doubled."""
    ledger.pause_s = (0.5, 1.0)
    registrar = Registrar(service, ledger)
    await registrar.register(plan_jobs(random.Random(SEED), "st", 120, within_s=(0.0, 2.0)))

    async def under_way() -> bool:
        return len(ledger.begun) >= 20

    await until(under_way, every_s=0.01)
    began = time.monotonic()
    assert await asyncio.to_thread(service.bridge.process.stop) == 0
    took_s = time.monotonic() - began
    assert len(ledger.posts) == len(ledger.begun), "an attempt was cut off"
    told = len(ledger.posts)
    assert told < len(registrar.watched), "nothing was left to do"
    assert took_s < 12.0
    service.start()
    ready_at = time.time()
    await hear_all(registrar, ledger)
    await until(lambda: all_ended(service, registrar))
    once_each(registrar, ledger)
    first = min(at for at in ledger.begun.values() if at > ready_at - 10)
    assert first - ready_at < LEASE_S / 2
    assert await prove_once(service) == NOTHING


async def ask_all_the_while(service: Service, stop: asyncio.Event) -> list[tuple[int, float]]:
    """Read and register at any moment; give status and seconds of every answer."""
    answers = []
    while not stop.is_set():
        for method, path, body in (
            ("GET", "/v1/callbacks?limit=1", None),
            ("POST", "/v1/callbacks", {"job_id": "outage", "callback_url": "inbox:"}),
            ("GET", "/readyz", None),
        ):
            began = time.monotonic()
            status, _ = await service.bridge.call(method, path, body)
            answers.append((status, time.monotonic() - began))
        await asyncio.sleep(0.02)
    return answers


async def test_api_and_worker_outlive_their_store(service: Service, ledger: Ledger) -> None:
    """The store alone is killed and stays away for a while: 503 meanwhile, then all goes on in the same processes."""
    registrar = Registrar(service, ledger)
    await registrar.register(plan_jobs(random.Random(SEED), "ss", 60, within_s=(0.0, 10.0)))
    before = service.pids("api"), service.pids("worker")
    stop = asyncio.Event()
    asking = asyncio.create_task(ask_all_the_while(service, stop))
    for away_s in AWAY_S:
        service.bridge.process.popen.send_signal(signal.SIGSTOP)  # who would start it again at once
        service.kill("store")
        await asyncio.sleep(away_s)
        service.bridge.process.popen.send_signal(signal.SIGCONT)
        await service.wait_ready()
        await asyncio.sleep(1.0)
    stop.set()
    answers = await asking
    await hear_all(registrar, ledger)
    await until(lambda: all_ended(service, registrar))
    once_each(registrar, ledger)
    assert {status for status, _ in answers} <= {200, 201, 503}
    assert 503 in {status for status, _ in answers}
    assert max(took for _, took in answers) < 6.0
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
    service: Service, simulator: Simulator, ledger: Ledger
) -> None:
    """At maxmemory: 503 for registrations; what is watched is polled, told and ended, by new processes too."""
    registrar = Registrar(service, ledger)
    await registrar.register(plan_jobs(random.Random(SEED), "fu", 60, within_s=(1.0, 12.0)))
    inbox = await service.bridge.register(job_id="fu0", callback_url="inbox:")
    async with full_store(service):
        status, refused = await register_one(service)
        assert (status, refused["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        service.kill("worker")
        service.kill("api")
        await hear_all(registrar, ledger, within_s=60)
        await service.wait_ready()
        await until(lambda: all_ended(service, registrar))
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
