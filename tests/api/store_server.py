"""A private store for tests, with an append-only file as in production."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NotReadyError

from bridge.store.server.engines import find_engine


@contextmanager
def running_store(folder: Path) -> Iterator[Path]:
    """Run a server on a unix socket and yield its path."""
    socket = folder / "s"
    where = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--hz", "100"]
    process = subprocess.Popen([str(find_engine().binary), *where, *durable], stdout=subprocess.DEVNULL)
    try:
        while not _answers(socket):
            assert process.poll() is None, "the store did not start"
        yield socket
    finally:
        process.kill()
        process.wait()


def _answers(socket: Path) -> bool:
    try:
        with Redis(unix_socket_path=str(socket)) as redis:
            return bool(redis.ping())
    except NotReadyError:
        return False
