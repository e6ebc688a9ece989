"""A real store of its own for the workers' tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from bridge.store.queue.lanes import Lanes
from tests.store.conftest import Server, emptied


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("w"))
    yield server
    server.stop()


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    async with server.client() as redis:
        yield await emptied(redis)


@pytest.fixture
def lanes(redis: Redis) -> Lanes:
    return Lanes(redis, "dlv", "a")
