"""A real server for the store's tests, and fakeredis where it can follow."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as NotReadyError

from bridge.store.server.engines import find_engine
from bridge.store.store import Store


class Server:
    """A private server with an append-only file, for as long as the tests run."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "s"
        where = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--hz", "100"]
        # FLUSHALL must not return before the memory is free: some tests count it.
        durable += ["--lazyfree-lazy-user-flush", "no"]
        self._process = subprocess.Popen(
            [str(find_engine().binary), *where, *durable, *options], stdout=subprocess.DEVNULL
        )
        self._wait_ready()

    def _wait_ready(self) -> None:
        while self._process.poll() is None:
            try:
                with BlockingRedis(unix_socket_path=str(self.socket)) as redis:
                    redis.ping()
                    return
            except NotReadyError:
                continue
        raise RuntimeError("the server did not start")

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))

    def stop(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.wait()


def without_header(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """An EVAL without the `#!lua` line, which fakeredis cannot read; its flags mean nothing there anyway."""
    return (args[0], args[1].partition(b"\n")[2], *args[2:]) if args[0] == "EVAL" else args


class HeaderlessPipeline(Pipeline):
    def execute_command(self, *args: Any, **options: Any) -> Any:
        return super().execute_command(*without_header(args), **options)


class HeaderlessRedis(FakeAsyncRedis):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await super().execute_command(*without_header(args), **options)  # type: ignore[no-untyped-call]  # redis-py

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002 -- redis-py's signature
        return HeaderlessPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("v"))
    yield server
    server.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start servers on one directory, each after the last one was killed."""
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(tmp_path))
        return started[-1]

    yield start
    for server in started:
        server.stop()


async def emptied(redis: Redis) -> Redis:
    await redis.flushall()
    await redis.config_set("maxmemory", "0")
    return redis


@pytest.fixture
async def real(server: Server) -> AsyncIterator[Redis]:
    """An empty real server."""
    async with server.client() as redis:
        yield await emptied(redis)


@pytest.fixture(params=["valkey", "fakeredis"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """An empty store, once real and once faked: the same tests for both."""
    if request.param == "fakeredis":
        async with HeaderlessRedis() as fake:
            yield fake
        return
    server: Server = request.getfixturevalue("server")
    async with server.client() as redis:
        yield await emptied(redis)


@pytest.fixture
def clock() -> list[int]:
    """A clock that the test sets: its only item is the time in ms."""
    return [1_795_000_000_000]


@pytest.fixture
async def store(redis: Redis, clock: list[int]) -> Store:
    """A store of three shards."""
    return await Store.open(redis, keys=[b"k" * 32], shards=3, aof=False, clock_ms=lambda: clock[0])
