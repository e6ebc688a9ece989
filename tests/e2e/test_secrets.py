"""Nothing secret in what the bridge prints or keeps on disk."""

from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.processes import (
    API_KEY,
    RB_KEY,
    RM_KEY,
    Receiver,
    Simulator,
    running_bridge,
    until,
)

pytestmark = pytest.mark.slow

OWN_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HEADER = "header-secret-5c1f"
QUERY = "query-secret-77aa"


async def test_no_secret_is_printed_or_kept_in_clear(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    """Upstream keys, signing secrets, receiver headers and URL queries: in no output, in no file of the store."""

    async def fail(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=500)

    receiver.behaviours["/hook"] = fail
    with running_bridge(simulator, tmp_path, REELBRIDGE_LOG_LEVEL="debug") as bridge:
        _, default = await bridge.call("GET", "/v1/secrets/default")
        job = await simulator.make("sync_job", set={"status": "completed"})
        callback = await bridge.register(
            job_id=job,
            callback_url=f"{receiver.url}/hook?token={QUERY}",
            headers={"x-key": HEADER},
            secret=OWN_SECRET,
        )
        await receiver.wait(f"/hook?token={QUERY}", count=2)
        timeline = f"/v1/callbacks/{callback['id']}/timeline"
        lists = [f"/v1/{each}" for each in ("callbacks", "deliveries", "events", "accounts")]
        shown = [timeline, *lists, "/metrics"]
        texts = [await read(bridge.url + path) for path in shown]
        kept = await until(lambda: stored(bridge.data_dir), within_s=5)
    printed = "\n".join(bridge.process.lines)
    for secret in (RM_KEY, RB_KEY, OWN_SECRET, HEADER, QUERY, str(default["secret"]), API_KEY):
        assert secret.encode() not in kept
        assert secret not in "".join(texts)
        if secret != str(default["secret"]):  # the banner shows it, as the contract asks
            assert secret not in printed
    assert OWN_SECRET.removeprefix("whsec_").encode() not in kept


async def read(url: str) -> str:

    async with aiohttp.ClientSession() as http, http.get(url, headers={"x-api-key": API_KEY}) as answer:
        return await answer.text()


async def stored(data_dir: Path) -> bytes:
    """All bytes of the store's files; the generated key files are the operator's own."""
    return b"".join(each.read_bytes() for each in (data_dir / "store").rglob("*") if each.is_file())
