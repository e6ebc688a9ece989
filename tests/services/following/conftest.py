"""A followed persona: an endpoint that names it, and a worker's poll handler that a test runs step by step."""

from collections.abc import AsyncIterator

import pytest

from tests.services.following.swept import Swept, following
from tests.services.polling.upstreams import polled
from tests.store.conftest import Server
from tests.workers.conftest import redis, server

__all__ = ["redis", "server", "swept"]


@pytest.fixture
async def swept(server: Server) -> AsyncIterator[Swept]:
    async with polled(server.socket) as bench:
        yield await following(bench)
