"""Each receiver of the kit, run as its page says, takes a real callback and handles all that `certify` sends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import Bridge, Simulator, until
from tests.e2e.receivers.programs import HERE, PROGRAMS, running
from tests.nocode.toolbox import Toolbox, require_toolbox


@pytest.fixture(scope="session")
def receiver_toolbox() -> Toolbox:
    """The packages of npm that receivers use."""
    return require_toolbox(listed_in=HERE)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_receiver_of_the_kit_takes_a_callback_and_is_certified(
    request: pytest.FixtureRequest, simulator: Simulator, bridge: Bridge, tmp_path: Path, name: str
) -> None:
    """It says that it acted upon the event of a job that ended, prints it, and fails no case."""
    program = PROGRAMS[name]
    toolbox = request.getfixturevalue("receiver_toolbox") if program.node else None
    _, told = await bridge.call("GET", "/v1/secrets/default")
    with running(program, toolbox, tmp_path, told["secret"]) as (url, process):
        job = await simulator.make("sync_job", set={"status": "completed"})
        callback = await bridge.register(job_id=job, callback_url=url)

        async def delivered() -> dict[str, object] | None:
            _, listed = await bridge.call("GET", "/v1/deliveries?state=succeeded")
            return next((each for each in listed["data"] if each["callback_id"] == callback["id"]), None)

        delivery = await until(delivered)
        _, whole = await bridge.call("GET", f"/v1/deliveries/{delivery['id']}")
        assert json.loads(whole["attempts"][-1]["response_excerpt"]) == {"handled": True}
        process.wait_for(job)
        assert certify(url, told["secret"], tmp_path) == []


def certify(url: str, secret: str, folder: Path) -> list[dict[str, object]]:
    """Run `reelbridge certify` and return the cases that were not passed."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli.main", "certify", url, "--json"],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "REELBRIDGE_SIGNING_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["passed"] else 1)
    return [each for each in told["cases"] if each["result"] != "passed"]
