"""A worker as a process of its own, with an upstream that is not there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.api.serving import KEY, MASTER_KEY
from tests.e2e.processes import Process


@contextmanager
def running_worker(socket: Path, **settings: str) -> Iterator[Process]:
    """Run a worker on a store, with further settings, from when it is ready."""
    environment = {
        "REELBRIDGE_REDIS_URL": f"unix://{socket}",
        "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
        "REELBRIDGE_API_KEY": KEY,
        "REELMIRROR_API_KEY": "rm_" + "b" * 32,
        "REELMIRROR_BASE_URL": "http://127.0.0.1:9/api",
        **settings,
    }
    process = Process(sys.executable, "-P", "-m", "workers", env=environment)
    try:
        process.wait_for("worker.ready")
        yield process
    finally:
        process.stop()
