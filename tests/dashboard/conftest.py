"""The dashboard over a real socket with a real store, and no worker behind it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bridge.dashboard.app import add_dashboard
from tests.api.serving import KEY, Client, make_settings, serving
from tests.api.store_server import running_store
from tests.dashboard.visitor import Visitor


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server for all tests of a run."""
    with running_store(tmp_path_factory.mktemp("dashboard")) as socket:
        yield socket


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    """A running API with the dashboard, on an empty store."""
    async with serving(make_settings(store_socket), prepare=add_dashboard) as client:
        yield client


@pytest.fixture
async def visitor(api: Client) -> Visitor:
    """Somebody who is signed in with a key of all scopes."""
    someone = Visitor(api)
    await someone.sign_in(KEY)
    return someone
