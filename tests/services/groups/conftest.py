"""The same store as the tests of the worker; `hasty` waits a hundred-thousandth of the documented times."""

from collections.abc import AsyncIterator

import pytest

from tests.services.following.swept import Swept, following
from tests.services.polling.upstreams import Bench, polled
from tests.store.conftest import Server
from tests.workers.conftest import redis, server

__all__ = ["bench", "redis", "server"]


@pytest.fixture
async def bench(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket) as bench:
        yield bench


@pytest.fixture
async def hasty(server: Server) -> AsyncIterator[Bench]:
    async with polled(server.socket, poll_scale=0.00001) as bench:
        yield bench


@pytest.fixture
async def swept(server: Server) -> AsyncIterator[Swept]:
    async with polled(server.socket) as bench:
        yield await following(bench)
