"""The same store as the tests of the worker."""

from collections.abc import AsyncIterator

import pytest

from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server
from tests.workers.conftest import redis, server

__all__ = ["bench", "redis", "server"]


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench
