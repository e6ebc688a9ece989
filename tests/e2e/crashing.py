"""Ground for tests of crashes: many jobs with an end in sight, a service to be killed, a receiver's ledger."""

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
from aiohttp import web

from bridge.compose import open_services
from bridge.settings import load_settings
from tests.e2e.processes import (
    API_KEY,
    READY_S,
    Bridge,
    Process,
    Receiver,
    Simulator,
    bridge_env,
    find_children,
    free_port,
    reelbridge,
    running_receiver,
    until,
)
from workers.sweep import prove

SIMULATOR_SPEED = 10
Victim = Literal["worker", "api", "store", "up", "all"]
SETTINGS = {
    "REELBRIDGE_POLL_SCALE": "0.2",
    "REELBRIDGE_ATTEMPT_TIMEOUT": "2",
    "REELBRIDGE_RETRY_SCHEDULE": "0.2,0.4,0.8,1.5,2,2,2,2,2,2,2,2,2,2,2,2",
}
WORDS = {"worker": "arq", "api": "bridge.cli.main api"}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A job to come: how the simulator makes it, how it is registered, and the event it must end in."""

    job: dict[str, Any]
    fields: dict[str, Any]
    ending: str


@dataclass(kw_only=True)
class Watched:
    """A registered callback: when it was answered, and when its job ends."""

    id: str
    hook: str
    ending: str
    kind: str
    answered_at: float
    ends_at: float


def plan_jobs(
    dice: random.Random, prefix: str, count: int, *, within_s: tuple[float, float]
) -> list[Planned]:
    """Plan jobs of all kinds that end after some seconds of a wall clock."""
    return [_plan(dice, f"{prefix}{number}", number, dice.uniform(*within_s)) for number in range(count)]


def _plan(dice: random.Random, name: str, number: int, end_s: float) -> Planned:
    def job(kind: str, ended: dict[str, Any], **begun: Any) -> dict[str, Any]:
        script = [{"after_s": end_s * SIMULATOR_SPEED, "set": ended}]
        return {"kind": kind, "id": name, "script": script, **begun}

    done = {"status": "completed", "url": "https://cdn.example/x.jpg"}
    broken = {"status": "failed", "url": None, "error_message": "generation failed"}
    parts = [{"id": f"{name}-{part}", "media_type": "image", "status": "pending"} for part in "ab"]
    match number % 6:
        case 0:
            ending = dice.choice(["completed", "failed", "skipped"])
            return Planned(
                job=job("sync_job", {"status": ending}), fields={"job_id": name}, ending=f"sync_job.{ending}"
            )
        case 1:
            items = [{**parts[0], **done}, {**parts[1], **broken}]
            return Planned(
                job=job("generated_post", {"status": "completed", "media_items": items}, items=parts),
                fields={"generated_post_id": name},
                ending="generated_post.partial",
            )
        case 2:
            return Planned(
                job=job("generated_media_item", done),
                fields={"generated_media_item_id": name},
                ending="generated_media_item.completed",
            )
        case 3:
            begun = {**done, "media_type": "video", "voice_conversion_status": "processing"}
            ended = {"voice_conversion_status": "completed"}
            return Planned(
                job=job("generated_media_item", ended, set=begun),
                fields={"generated_media_item_id": name, "kind": "voice_conversion"},
                ending="voice_conversion.completed",
            )
        case 4:
            told = {"id": f"{name}-d", "platform": "instagram", "username": name}
            return Planned(
                job=job(
                    "outgoing_post",
                    {"deliveries": [{**told, "status": "published"}]},
                    deliveries=[{**told, "status": "pending"}],
                ),
                fields={"outgoing_post_id": name},
                ending="outgoing_post.published",
            )
        case _:
            return Planned(
                job=job("reelbot_video", {"status": "completed", "outputKey": f"users/u/{name}.mp4"}),
                fields={"projectId": name},
                ending="reelbot_video.completed",
            )


@dataclass(frozen=True, kw_only=True)
class Post:
    """One POST as the receiver saw it; `left_at` is when its answer was sent."""

    event: str
    type: str
    job: str
    hook: str
    came_at: float
    left_at: float


@dataclass
class Ledger:
    """What several receivers got; every answer takes a moment, so that kills meet attempts in flight."""

    receivers: Sequence[Receiver]
    dice: random.Random
    posts: list[Post] = field(default_factory=list)
    begun: dict[str, float] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    pause_s: tuple[float, float] = (0.01, 0.4)

    def url(self, number: int, hook: str) -> str:
        """Give a hook's URL at one of the receivers."""
        return f"{self.receivers[number % len(self.receivers)].url}/hook?{hook}"

    async def answer(self, request: web.Request, _: bytes) -> web.StreamResponse:
        """Answer 200 after a pause, and write the POST down whatever becomes of the connection."""
        came_at = time.time()
        body = await request.json()
        self.begun.setdefault(request.query_string, came_at)
        self.told.setdefault(request.query_string, body["type"])
        try:
            await asyncio.sleep(self.dice.uniform(*self.pause_s))
        finally:
            self.posts.append(
                Post(
                    event=request.headers["webhook-id"],
                    type=body["type"],
                    job=body["job_id"],
                    hook=request.query_string,
                    came_at=came_at,
                    left_at=time.time(),
                )
            )
        return web.Response(text="ok")

    def by_hook(self) -> dict[str, list[Post]]:
        """Give every hook's POSTs in order."""
        found: dict[str, list[Post]] = defaultdict(list)
        for post in sorted(self.posts, key=lambda each: each.came_at):
            found[post.hook].append(post)
        return found


@contextlib.asynccontextmanager
async def running_ledger(seed: int, *, receivers: int = 6) -> AsyncIterator[Ledger]:
    """Run several receivers, which are as many destinations, with one ledger."""
    async with contextlib.AsyncExitStack() as stack:
        running = [await stack.enter_async_context(running_receiver()) for _ in range(receivers)]
        ledger = Ledger(receivers=running, dice=random.Random(seed))
        for receiver in running:
            receiver.behaviours["/hook"] = ledger.answer
        yield ledger


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
    bridge: Bridge = field(init=False)

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
        process = reelbridge("up", env=self.environment, cwd=self.folder)
        self.bridge = Bridge(url=f"http://127.0.0.1:{self.port}", process=process, data_dir=self.data_dir)

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
        return self.bridge.pids(WORDS[victim])

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
            self.past_lines += self.bridge.process.lines
        self.kills.append(Kill(victim=victim, began=began, ended=time.time()))
        return len(pids)

    async def wait_ready(self, *, within_s: float = 30.0) -> None:
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


async def prove_once(service: Service) -> dict[str, int]:
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


class Registrar:
    """Registers over HTTP as a stubborn client does: a request that got no answer is repeated.

    With `impatient_s` every first request is broken off after that time, if it has no answer by then.
    """

    def __init__(self, service: Service, ledger: Ledger, *, impatient_s: float | None = None) -> None:
        self._service = service
        self._ledger = ledger
        self.watched: dict[str, Watched] = {}
        self.repeats = 0
        self.broken = 0
        self.took_s: list[float] = []
        self._impatient_s = impatient_s
        self.statuses: dict[int, int] = defaultdict(int)

    @property
    def slowest_s(self) -> float:
        """The longest time that an answer took."""
        return max(self.took_s)

    async def register(self, plans: Iterable[Planned], *, at_once: int = 16, gap_s: float = 0.0) -> None:
        """Make and register jobs, some at once; every hook is a callback of its own."""
        waiting = list(plans)[::-1]

        async def work(session: aiohttp.ClientSession) -> None:
            while waiting:
                await self._one(session, waiting.pop())
                await asyncio.sleep(gap_s)

        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work(session))

    async def _one(self, session: aiohttp.ClientSession, plan: Planned) -> None:
        await self._service.simulator.control("POST", "/jobs", plan.job)
        made_at = time.time()
        after_s = plan.job["script"][0]["after_s"] / SIMULATOR_SPEED
        for hook in _hooks(plan):
            body = {
                **plan.fields,
                "callback_url": self._ledger.url(len(self.watched), hook),
                "timeout_seconds": 900,
            }
            answer = await self._post(session, body)
            self.watched[hook] = Watched(
                id=answer["id"],
                hook=hook,
                ending=plan.ending,
                kind=plan.ending.split(".")[0],
                answered_at=time.time(),
                ends_at=made_at + after_s,
            )

    async def _post(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {API_KEY}"}
        url = f"{self._service.bridge.url}/v1/callbacks"
        if self._impatient_s is not None:
            impatient = aiohttp.ClientTimeout(total=self._impatient_s)
            with contextlib.suppress(aiohttp.ClientConnectionError, ConnectionError):
                try:
                    async with session.post(url, json=body, headers=headers, timeout=impatient) as answer:
                        await answer.read()
                except TimeoutError:
                    self.broken += 1
        while True:
            began = time.monotonic()
            with contextlib.suppress(aiohttp.ClientConnectionError, ConnectionError):
                async with session.post(url, json=body, headers=headers) as answer:
                    given = await answer.json()
                    self.statuses[answer.status] += 1
                    self.took_s.append(time.monotonic() - began)
                    if answer.status in (200, 201):
                        return dict(given)
                    assert answer.status == 503, given
            self.repeats += 1
            await asyncio.sleep(0.1)


def _hooks(plan: Planned) -> list[str]:
    """Every tenth job has two callbacks, which must hear of one event."""
    name = plan.job["id"]
    return [f"{name}-1", f"{name}-2"] if name.endswith("7") else [name]
