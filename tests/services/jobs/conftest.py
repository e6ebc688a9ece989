"""A store with an API on it; nothing else runs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_store(tmp_path_factory.mktemp("jobs")) as socket:
        yield socket


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    async with serving(make_settings(store_socket)) as client:
        yield client
