"""Streams of events over several API processes: nobody misses an event, hears one twice, or hears them in another order."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bridge.container import bootstrap, open_services
from bridge.services.context import Services
from tests.api.serving import KEY, MASTER_KEY, make_settings
from tests.api.store_server import running_store
from tests.api.streams import streaming, write_event
from tests.e2e.processes import Process, reelbridge

pytestmark = pytest.mark.slow
READERS, CUTS, RESTARTS = 5, 20, 3
PROJECT = "prj_default"


class Apis:
    """Two API processes, which are replaced one after the other."""

    def __init__(self, socket: Path, stack: ExitStack) -> None:
        self._socket = socket
        self._stack = stack
        self._running = [self._start() for _ in range(2)]
        self.urls = [self._wait(each) for each in self._running]

    def _start(self) -> Process:
        process = reelbridge(
            "api",
            env={
                "REELBRIDGE_REDIS_URL": f"unix://{self._socket}",
                "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
                "REELBRIDGE_API_KEY": KEY,
                "REELBRIDGE_PORT": "0",
                "REELBRIDGE_DATA_DIR": str(self._socket.parent),
            },
            cwd=self._socket.parent,
        )
        self._stack.callback(process.kill)
        return process

    def _wait(self, process: Process) -> str:
        port = process.wait_for(r'"port":\s?"?(\d+)')[1]
        return f"http://127.0.0.1:{port}"

    async def restart(self, number: int, *, kill: bool) -> None:
        """Replace a process, whose streams end, or break off where it is killed."""
        old = self._running[number]
        await asyncio.to_thread(old.kill if kill else old.stop)
        self._running[number] = self._start()
        self.urls[number] = await asyncio.to_thread(self._wait, self._running[number])


class Reader:
    """A client that connects again behind what it has heard, wherever it gets an answer."""

    def __init__(self, apis: Apis, seed: int) -> None:
        self._apis = apis
        self._dice = random.Random(seed)
        self.heard: list[str] = []
        self.place = "0"
        self.cuts = 0

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Read until cancelled."""
        while True:
            url = self._dice.choice(self._apis.urls)
            try:
                await self._read(http, url)
            except (aiohttp.ClientError, OSError):  # the process is gone, or is just going
                await asyncio.sleep(0.05)
            except AssertionError as error:
                if "RATE_LIMITED" not in str(error):  # the place of the stream before is not free yet
                    raise
                await asyncio.sleep(0.05)

    async def _read(self, http: aiohttp.ClientSession, url: str) -> None:
        until = self._dice.randint(1, 40) if self.cuts < CUTS else None
        async with streaming(http, url, last_id=self.place) as stream:
            while until is None or until > 0:
                if (block := await stream.next(within_s=60)) is None:
                    return
                if block.data is not None:
                    self.heard.append(block.id)
                    until = None if until is None else until - 1
                if block.place is not None:
                    self.place = block.place
            self.cuts += 1


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_store(tmp_path_factory.mktemp("streams")) as socket:
        yield socket


@pytest.fixture
async def services(socket: Path) -> AsyncIterator[Services]:
    async with open_services(make_settings(socket)) as services:
        await services.store.redis.flushall()
        await bootstrap(services)
        yield services


@asynccontextmanager
async def writing(services: Services) -> AsyncIterator[list[str]]:
    """Write events during the block; yields the list that they are put into."""
    written: list[str] = []

    async def write() -> None:
        while True:
            written.append(await write_event(services, len(written)))
            await asyncio.sleep(0.005)

    task = asyncio.create_task(write())
    try:
        yield written
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_all(readers: list[Reader], tasks: list[asyncio.Task[None]], count: int) -> None:
    """Wait until every reader has heard so many events and has been cut often enough."""
    async with asyncio.timeout(90):
        while any(len(reader.heard) < count or reader.cuts < CUTS for reader in readers):
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)


async def test_readers_miss_nothing_through_cuts_and_restarts(socket: Path, services: Services) -> None:
    """Five readers, twenty cuts each, while two processes are stopped and killed: the same events, once each, in order."""
    with ExitStack() as stack:
        apis = await asyncio.to_thread(Apis, socket, stack)
        readers = [Reader(apis, seed) for seed in range(READERS)]
        async with aiohttp.ClientSession() as http:
            tasks = [asyncio.create_task(reader.run(http)) for reader in readers]
            try:
                async with writing(services) as written:
                    for number in range(RESTARTS):
                        await apis.restart(number % 2, kill=number % 2 == 1)
                    await until_all(readers, tasks, 0)
                feed = services.store.feed
                last = await feed.last(PROJECT)
                await until_all(readers, tasks, last)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        order = [event for event, _ in await feed.read(PROJECT, after=0, limit=last)]
        assert len(order) >= len(written) > CUTS
        assert [reader.heard == order for reader in readers] == [True] * READERS
