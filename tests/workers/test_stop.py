"""How a worker stops."""

import base64
import json
import socket
from pathlib import Path

from tests.e2e.processes import reelbridge


def test_a_worker_that_cannot_reach_its_store_stops_when_asked(tmp_path: Path) -> None:
    """SIGTERM ends a worker that has waited for its store since its start: it holds nothing that could be lost."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        settings = {
            "REELBRIDGE_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "REELBRIDGE_MASTER_KEYS": base64.b64encode(bytes(32)).decode(),
        }
        worker = reelbridge("worker", env=settings, cwd=tmp_path)
        waits = worker.wait_for(r"\{.*worker\.queue_unreachable.*\}")  # as JSON, as all that is no terminal's
        assert json.loads(waits[0])["store"] == f"127.0.0.1:{port}"
        worker.stop(within_s=20)
