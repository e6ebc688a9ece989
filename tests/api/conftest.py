"""The API over a real socket with a real store, and no worker behind it."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.exceptions import ConnectionError as NotReadyError

from bridge.store.engines import find_engine
from tests.api.serving import Client, make_settings, serving


@pytest.fixture(scope="session")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private server with an append-only file, for as long as the tests run."""
    folder = tmp_path_factory.mktemp("api")
    socket = folder / "s"
    where = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--hz", "100"]
    process = subprocess.Popen([str(find_engine().binary), *where, *durable], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            with BlockingRedis(unix_socket_path=str(socket)) as redis:
                redis.ping()
                break
        except NotReadyError:
            continue
    yield socket
    process.kill()
    process.wait()


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    """A running API on an empty store."""
    async with serving(make_settings(store_socket)) as client:
        yield client
