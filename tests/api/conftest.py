"""The API over a real socket with a real store, and no worker behind it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for all tests of a run."""
    with running_store(tmp_path_factory.mktemp("api")) as socket:
        yield socket


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    """A running API on an empty store."""
    async with serving(make_settings(store_socket)) as client:
        yield client
