"""What the measured code stands on: cores, the stub, and bridges with a store as `up` runs it."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bridge.config.settings import Settings
from bridge.container import bootstrap, open_services
from bridge.domain.ids import job_key
from bridge.domain.urls.policy import check_url
from bridge.services.context import Services
from bridge.services.jobs.registration import register, release_holds
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.store.queue.clock import StoreClock
from bridge.store.records import Wanted
from bridge.store.server.embedded import EmbeddedStore
from bridge.store.server.rewrites import lower_rewrites
from workers.slots import POLL_SLOTS, SEND_SLOTS

API_KEY = "brk_bench_0123456789abcdef0123456789abcdef"
URL_BYTES = 60
REGISTERED_AT_ONCE = 100
STEPS_AT_ONCE = 8
OWN_DEADLINE_S = 86_400.0  # no callback times out while it is measured, whatever the scale
QUIET_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    slots: int = 64  # of the bare loops, the clients of an API and the job queues
    poll_slots: int = POLL_SLOTS
    send_slots: int = SEND_SLOTS
    projects: int = 1
    accounts: int = 100  # shared out among the projects
    destinations: int = 100
    polled_jobs: int = 10_000
    polls: int = 8_000  # a round, as all below
    deliveries: int = 4_000
    registrations: int = 2_000
    warm_up: int = 600
    watched_jobs: int = 100_000
    read_share: float = 1.0  # of them, which are read once before they are read on time
    lag_s: float = 30.0
    queued_jobs: int = 6_000  # in a job queue whose polls are measured
    queue_items: int = 1_500  # polls, then deliveries, of a job queue in a round
    groups: int = 3  # of jobs that end together
    ending_jobs: int = 5_000  # in a group


FULL = Size()
SMOKE = Size(
    rounds=1,
    slots=8,
    poll_slots=8,
    send_slots=8,
    accounts=4,
    destinations=4,
    polled_jobs=40,
    polls=100,
    deliveries=60,
    registrations=40,
    warm_up=10,
    watched_jobs=100,
    lag_s=1.0,
    queued_jobs=100,
    queue_items=50,
    groups=1,
    ending_jobs=40,
)
SIZES = {"full": FULL, "smoke": SMOKE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The worker's core, and the other one for store, stub and clients."""

    worker: int
    other: int
    all: frozenset[int]

    @classmethod
    def choose(cls) -> "Cores":
        """Take the first and the last core that this process may use."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(worker=allowed[0], other=allowed[-1], all=frozenset(allowed))


@contextmanager
def on_core(*cores: int) -> Iterator[None]:
    """Run this thread, and processes it starts, on one core or several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """The running stub: its upstream, and its receivers' ports."""

    upstream: str
    receivers: tuple[int, ...]

    def hook(self, number: int) -> str:
        """Give a callback URL of 60 bytes at one of the receivers, another one for each number."""
        start = f"http://127.0.0.1:{self.receivers[number % len(self.receivers)]}/hooks/"
        return start + str(number).rjust(URL_BYTES - len(start), "0")

    def counts(self) -> tuple[int, int]:
        """Give how many reads and posts have come."""
        reads, posts = self.ask("counts")
        return reads, posts

    def ask(self, path: str) -> Any:
        """Return the stub's own answer at one of the paths that its module describes."""
        with urllib.request.urlopen(f"{self.upstream}/{path}", timeout=10) as answer:
            return json.load(answer)


def name_job(number: int, word: str = "runs") -> str:
    """Give a job's id, of 36 characters like those that ReelMirror shows."""
    return word + str(number).rjust(36 - len(word), "0")


@contextmanager
def running_stub(receivers: int) -> Iterator[Stub]:
    """Run the stub as a process on this thread's core."""
    program = [sys.executable, str(Path(__file__).with_name("stub.py")), str(receivers)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            upstream, *ports = json.loads(process.stdout.readline())
            yield Stub(upstream=f"http://127.0.0.1:{upstream}", receivers=tuple(ports))
        finally:
            process.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where everything runs."""

    folder: Path
    cores: Cores
    stub: Stub
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A sync job to watch."""

    account: str
    id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """One bridge's tools in this process, with a store of its own."""

    services: Services
    clock: StoreClock
    projects: Mapping[str, str]  # of each account
    accounts: tuple[str, ...]
    url: str

    @property
    def redis(self) -> Redis:
        """The store's client."""
        return self.services.store.redis

    def key(self, account: str, job: str) -> str:
        """Give a sync job's key."""
        return job_key(self.services.store.shard_of(account), account, "sync_job", job)

    async def watch(self, jobs: Sequence[Job]) -> list[str]:
        """Register jobs through the use case that the API calls, and let it be answered; give the callbacks' ids."""
        by_account: dict[str, list[RegisterCallback]] = {}
        for job in jobs:
            command = RegisterCallback(
                kind="sync_job",
                job_id=job.id,
                url=check_url(job.url, self.services.policy),
                timeout_s=OWN_DEADLINE_S,
                account=job.account,
            )
            by_account.setdefault(job.account, []).append(command)
        steps = [
            (self.projects[account], commands[at : at + REGISTERED_AT_ONCE])
            for account, commands in by_account.items()
            for at in range(0, len(commands), REGISTERED_AT_ONCE)
        ]
        ids: list[str] = []
        for at in range(0, len(steps), STEPS_AT_ONCE):
            some = steps[at : at + STEPS_AT_ONCE]
            done = await asyncio.gather(*(register(self.services, *step) for step in some))
            fresh = [each.callback.id for registered in done for each in registered]
            release_holds(self.services, fresh)
            ids += fresh
        return ids

    async def wait_released(self, callbacks: Sequence[str]) -> None:
        """Wait until first deliveries may go: they are held back until a moment after the registering answer."""
        for at in range(0, len(callbacks), 1_000):
            some = callbacks[at : at + 1_000]
            while (await self.services.store.load_many(Wanted(holds=some))).holds:  # noqa: ASYNC110 -- the store has no event to wait on
                await asyncio.sleep(QUIET_S)


@asynccontextmanager
async def running_store(ground: Ground, name: str) -> AsyncIterator[str]:
    """Run an embedded store, as `up` does, on the other core; gives its address."""
    store = EmbeddedStore(ground.folder / name)
    with on_core(ground.cores.other):
        await store.start()
    lowering = asyncio.create_task(lower_rewrites(store.socket))
    try:
        yield store.url
    finally:
        lowering.cancel()
        await asyncio.gather(lowering, return_exceptions=True)
        await store.stop()


def make_environment(ground: Ground, store_url: str, *, poll_scale: float) -> dict[str, str]:
    """Give the environment of a bridge on this ground."""
    return {
        "REELBRIDGE_REDIS_URL": store_url,
        "REELBRIDGE_MASTER_KEYS": base64.b64encode(b"k" * 32).decode(),
        "REELBRIDGE_DATA_DIR": str(ground.folder),
        "REELBRIDGE_API_KEY": API_KEY,
        "REELBRIDGE_PORT": "0",
        "REELBRIDGE_POLL_SCALE": str(poll_scale),
        "REELMIRROR_API_KEY": "rm_" + "a" * 32,
        "REELMIRROR_BASE_URL": f"{ground.stub.upstream}/reelmirror/api",
    }


@asynccontextmanager
async def running_bridge(ground: Ground, name: str, *, poll_scale: float) -> AsyncIterator[Bridge]:
    """Open a bridge's services over a fresh store, with accounts to spread jobs over."""
    async with running_store(ground, name) as url:
        environment = make_environment(ground, url, poll_scale=poll_scale)
        os.environ.update(environment)
        clock = StoreClock()
        async with open_services(Settings(_env_file=None), clock_ms=clock.now_ms) as services:
            await bootstrap(services)
            seconds, micros = await services.store.redis.time()
            clock.set(seconds * 1000 + micros // 1000)
            store = services.store
            own = [(await store.projects.ensure_default()).id]
            own += [(await store.projects.create(f"project {n}")).id for n in range(1, ground.size.projects)]
            accounts = [
                await store.accounts.create(own[n % len(own)], "reelmirror", f"rm_{n:032}", f"account {n}")
                for n in range(ground.size.accounts)
            ]
            yield Bridge(
                services=services,
                clock=clock,
                projects={each.id: each.project for each in accounts},
                accounts=tuple(each.id for each in accounts),
                url=url,
            )
