"""Real processes for end-to-end tests: the simulator, `reelbridge up`, and a receiver that remembers."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

SPEED = 50  # the simulator runs this much faster than the documents say ...
SCALE = 1 / SPEED  # ... and the bridge polls as much faster
API_KEY = "brk_e2e_0123456789abcdef0123456789abcdef"
RM_KEY = "rm_0123456789abcdef0123456789abcdef"
RB_KEY = "rb_live_0123456789abcdef"
READY_S = 60.0


def free_port() -> int:
    """Ask the system for a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child with its output kept; `wait_for` waits for a line of it."""

    def __init__(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.lines: list[str] = []
        self._grew = threading.Condition()
        self.popen = subprocess.Popen(
            arguments,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as out:
            for line in out:
                with self._grew:
                    self.lines.append(line.rstrip("\n"))
                    self._grew.notify_all()
        with self._grew:
            self._grew.notify_all()

    def wait_for(self, pattern: str, *, within_s: float = READY_S) -> re.Match[str]:
        """Wait for a line; the whole output is in the error when it does not come."""
        deadline = time.monotonic() + within_s
        with self._grew:
            seen = 0
            while True:
                for line in self.lines[seen:]:
                    if found := re.search(pattern, line):
                        return found
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or (self.popen.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(self.lines[-80:]))
                self._grew.wait(min(left, 1.0))

    def stop(self, *, within_s: float = 45.0) -> int:
        """End the process as an operator would; give its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process and all of its children with -9."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)


def reelbridge(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Process:
    """Start the command as installed."""
    return Process(str(Path(sys.executable).with_name("reelbridge")), *arguments, env=env, cwd=cwd)


@dataclass(frozen=True)
class Simulator:
    """The running simulator: where it listens, and its control API."""

    url: str
    process: Process

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Call the control API; gives its JSON."""
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{self.url}/_sim{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def make(self, kind: str, **fields: Any) -> str:
        """Make a scripted job; gives its id."""
        return str((await self.control("POST", "/jobs", {"kind": kind, **fields}))["id"])


@dataclass(frozen=True)
class Bridge:
    """The running bridge and its API."""

    url: str
    process: Process
    data_dir: Path

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """Call the API with the bootstrap key; gives status and JSON."""
        headers = {"authorization": f"Bearer {API_KEY}", **options.pop("headers", {})}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.url + path, json=body, headers=headers, **options) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def register(self, **fields: Any) -> dict[str, Any]:
        """Register a callback; gives the 201's body."""
        status, body = await self.call("POST", "/v1/callbacks", fields)
        assert status == 201, body
        return dict(body)

    def pids(self, part: str) -> list[int]:
        """Give the pids of the bridge's processes whose command line holds a word."""
        return find_children(self.process.popen.pid, part)


def find_children(parent: int, part: str) -> list[int]:
    """Find the descendants of a process by a word in their command line."""
    found: list[int] = []
    waiting = [parent]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                children = [int(each) for each in (task / "children").read_text().split()]
                waiting += children
                for child in children:
                    command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if part in command:
                        found.append(child)
    return found


async def until(true: Callable[[], Awaitable[Any]], *, within_s: float = 30.0, every_s: float = 0.05) -> Any:
    """Ask until an answer is truthy, and give it."""
    deadline = time.monotonic() + within_s
    while not (answer := await true()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {true}"
        await asyncio.sleep(every_s)
    return answer


@contextlib.contextmanager
def running_simulator(*, speed: float = SPEED) -> Iterator[Simulator]:
    """Run the simulator for a while."""
    process = reelbridge("simulate", "--port", "0", "--speed", str(speed))
    try:
        url = process.wait_for(r"simulator ready (http://\S+)").group(1)
        yield Simulator(url=url, process=process)
    finally:
        process.stop()


def bridge_env(simulator: Simulator, data_dir: Path, port: int, **settings: str) -> dict[str, str]:
    """Give the environment of a bridge that polls the simulator at its speed."""
    return {
        "REELBRIDGE_PORT": str(port),
        "REELBRIDGE_DATA_DIR": str(data_dir),
        "REELBRIDGE_API_KEY": API_KEY,
        "REELMIRROR_API_KEY": RM_KEY,
        "REELMIRROR_BASE_URL": f"{simulator.url}/reelmirror/api",
        "REELBOT_API_KEY": RB_KEY,
        "REELBOT_BASE_URL": f"{simulator.url}/reelbot/api",
        "REELBRIDGE_POLL_SCALE": str(SCALE),
        "REELBRIDGE_RETRY_SCHEDULE": "0.1,0.2,0.4,0.8,1.6,3,3,3,3,3,3,3,3,3,3",
        "REELBRIDGE_ATTEMPT_TIMEOUT": "5",
        "REELBRIDGE_LOG": "json",
        **settings,
    }


@contextlib.contextmanager
def running_bridge(simulator: Simulator, folder: Path, **settings: str) -> Iterator[Bridge]:
    """Run `reelbridge up` for a while."""
    port = free_port()
    data_dir = folder / "data"
    process = reelbridge("up", env=bridge_env(simulator, data_dir, port, **settings), cwd=folder)
    bridge = Bridge(url=f"http://127.0.0.1:{port}", process=process, data_dir=data_dir)
    try:
        process.wait_for(r"callback_url")
        yield bridge
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.stop()


@dataclass(frozen=True)
class Received:
    """One request that a receiver got: raw bytes, so that signatures can be judged."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


Behaviour = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A real HTTP receiver on loopback; answers 200 unless told otherwise for a path."""

    url: str = ""
    got: list[Received] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        received = Received(
            at=time.time(),
            path=request.path_qs,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )
        async with self.arrived:
            self.got.append(received)
            self.arrived.notify_all()
        behaviour = self.behaviours.get(request.path)
        return await behaviour(request, body) if behaviour else web.Response(text="ok")

    def at(self, path: str) -> list[Received]:
        return [each for each in self.got if each.path == path]

    async def wait(self, path: str, *, count: int = 1, within_s: float = 30.0) -> list[Received]:
        """Wait until so many requests came to a path."""

        async def enough() -> None:
            async with self.arrived:
                await self.arrived.wait_for(lambda: len(self.at(path)) >= count)

        try:
            await asyncio.wait_for(enough(), within_s)
        except TimeoutError:
            raise AssertionError(f"{len(self.at(path))} of {count} requests came to {path}") from None
        return self.at(path)


held_ports: list[socket.socket] = []


def hold_port(port: int) -> None:
    """Keep a receiver's port from the next one: a bridge that tests share may still have something to send there."""
    holder = socket.socket()
    holder.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    )  # where the last connections are still in TIME_WAIT
    holder.bind(("127.0.0.1", port))
    held_ports.append(holder)


@contextlib.asynccontextmanager
async def running_receiver() -> Any:
    """Run a receiver for a while; later its port refuses connections."""
    receiver = Receiver()
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
        hold_port(port)
