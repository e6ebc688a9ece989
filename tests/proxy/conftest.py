"""The proxy over real sockets: a real store, an upstream that answers with exact bytes, no worker behind it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.store_server import running_store
from tests.proxy.wire import Proxied, proxying


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for all tests of a run."""
    with running_store(tmp_path_factory.mktemp("proxy")) as socket:
        yield socket


@pytest.fixture
async def proxied(store_socket: Path) -> AsyncIterator[Proxied]:
    """A running API with its proxy on an empty store, and an upstream for it."""
    async with proxying(store_socket) as running:
        yield running
