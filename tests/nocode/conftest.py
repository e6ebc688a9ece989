"""The API and the tools that read its documents."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store
from tests.nocode.toolbox import Toolbox, require_toolbox


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """The tools, installed."""
    return require_toolbox()


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for all tests of this folder."""
    with running_store(tmp_path_factory.mktemp("nocode")) as socket:
        yield socket


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    """A running API on an empty store, which may send to this machine."""
    async with serving(make_settings(store_socket, allow_http=True, allow_networks="127.0.0.0/8")) as client:
        yield client
