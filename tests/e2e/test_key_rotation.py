"""The master key is changed while the service is in use: three starts, as docs/upgrading.md says, and nothing is lost."""

import asyncio
import base64
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.store.vault import Vault
from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator, reelbridge, running_bridge, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
KEYS = [bytes([letter]) * 32 for letter in b"on"]
OLD, NEW = (base64.b64encode(key).decode() for key in KEYS)
OLD_ID, NEW_ID = (Vault([key]).key_ids[0] for key in KEYS)


async def held_by(bridge: Bridge, key_id: str) -> dict[str, int]:
    _, ready = await bridge.call("GET", "/readyz")
    return dict(next(key["holds"] for key in ready["details"]["master_keys"] if key["id"] == key_id))


def doctor(bridge: Bridge, folder: Path) -> str:
    environment = {
        "REELBRIDGE_PORT": bridge.url.rpartition(":")[2],
        "REELBRIDGE_DATA_DIR": str(bridge.data_dir),
        "REELBRIDGE_API_KEY": API_KEY,
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "-m", "bridge.cli.main", "doctor"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    ).stdout


async def test_the_old_key_can_be_removed_when_doctor_says_so(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    """Sealed anew at the next start, counted, shown; then the old key goes and a callback made under it is delivered."""
    job = await simulator.make("sync_job", set={"status": "pending"})
    headers = {"Idempotency-Key": "one"}
    body = {"job_id": job, "callback_url": f"{receiver.url}/hook", "headers": {"X-Token": "t"}}
    with running_bridge(simulator, tmp_path, REELBRIDGE_MASTER_KEYS=OLD) as bridge:
        _, made = await bridge.call("POST", "/v1/callbacks", body, headers=headers)
        _, secret = await bridge.call("GET", "/v1/secrets/default")
        await until(lambda: held_by(bridge, OLD_ID))
    with running_bridge(simulator, tmp_path, REELBRIDGE_MASTER_KEYS=f"{NEW},{OLD}") as bridge:

        async def is_free() -> bool:
            return not await held_by(bridge, OLD_ID)

        await until(is_free)
        assert await held_by(bridge, NEW_ID) == {
            "callbacks": 1, "signing_secrets": 1, "credentials": 2, "idempotent_responses": 1
        }  # fmt: skip
        said = await asyncio.to_thread(doctor, bridge, tmp_path)
        assert f"✔ master key {OLD_ID} (number 2 of REELBRIDGE_MASTER_KEYS) holds nothing" in said
        assert f"✔ master key {NEW_ID} encrypts and holds 1 callback, " in said
    with running_bridge(simulator, tmp_path, REELBRIDGE_MASTER_KEYS=NEW) as bridge:
        assert (await bridge.call("GET", "/v1/secrets/default"))[1] == secret
        status, again = await bridge.call("POST", "/v1/callbacks", body, headers=headers)
        assert (status, again["id"]) == (201, made["id"])
        await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})
        (got,) = await receiver.wait("/hook")
        assert got.headers["x-token"] == "t"


def test_up_with_a_key_that_opens_nothing_says_which_one_is_missing(
    simulator: Simulator, tmp_path: Path
) -> None:
    """The processes end with a sentence, and `up` repeats it."""
    with running_bridge(simulator, tmp_path, REELBRIDGE_MASTER_KEYS=OLD):
        pass
    process = reelbridge(
        "up",
        env={
            "REELBRIDGE_PORT": "0",
            "REELBRIDGE_DATA_DIR": str(tmp_path / "data"),
            "REELBRIDGE_MASTER_KEYS": NEW,
        },
        cwd=tmp_path,
    )
    try:
        process.wait_for(f"sealed with master key {OLD_ID}.*add that key again")
        assert process.popen.wait(100) == 1
        assert not [line for line in process.lines if "Traceback" in line]
    finally:
        process.stop()
