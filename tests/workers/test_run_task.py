"""What arq's job does when the store goes away under it."""

import tempfile
from pathlib import Path

import structlog

from tests.api.serving import make_settings, serving
from tests.store.conftest import Server
from workers.tasks import run_task


async def test_an_outage_of_the_store_is_one_line() -> None:
    """The attempt ends without an error, which arq would log with its traceback; the next tick begins another one."""
    with tempfile.TemporaryDirectory() as folder:  # a short path, for the socket
        server = Server(Path(folder))
        async with serving(make_settings(server.socket)) as api:
            server.stop()
            with structlog.testing.capture_logs() as lines:
                await run_task({"services": api.services}, "prj_default", "task_1", 1)
    told = [line for line in lines if line["event"] == "task.store_unreachable"]
    assert [(line["log_level"], line["task"]) for line in told] == [("warning", "task_1")]
