"""Callers with upstream keys of their own, through real processes: the proxy passes them to their provider alone."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.e2e.processes import RB_KEY, RM_KEY, Bridge, Receiver, Simulator, running_bridge

pytestmark = pytest.mark.slow

OWN = "rm_" + "5" * 32


@pytest.fixture(scope="module")
def open_bridge(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that lets upstream keys in."""
    folder = tmp_path_factory.mktemp("passthrough")
    with running_bridge(simulator, folder, REELBRIDGE_PASSTHROUGH="true") as running:
        yield running


async def ask(bridge: Bridge, path: str, key: str) -> tuple[int, str]:
    """Return the status, and whose the answer is."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http,
        http.get(bridge.url + path) as answer,
    ):
        return answer.status, answer.headers.get("X-Reelbridge-Error", "provider")


@pytest.mark.parametrize(
    ("path", "key", "answer"),
    [
        ("/reelmirror/api/v1/sync-jobs/demo-1", OWN, (200, "provider")),
        ("/reelmirror/api/v1/sync-jobs/demo-1", RM_KEY, (200, "provider")),
        ("/reelmirror/api/v1/billing/balance", RM_KEY, (403, "forbidden")),
        ("/reelbot/api/v1/video/status/demo12345678", OWN, (401, "unauthorized")),
        ("/reelbot/api/v1/video/status/demo12345678", RM_KEY, (401, "unauthorized")),
        ("/reelbot/api/v1/video/status/demo12345678", RB_KEY, (200, "provider")),
    ],
)
async def test_a_key_reaches_its_own_provider(
    open_bridge: Bridge, path: str, key: str, answer: tuple[int, str]
) -> None:
    """No other one, although its project may have an account there; and the configured one is no admin."""
    assert await ask(open_bridge, path, key) == answer


async def test_a_revoked_key_is_refused_at_once(open_bridge: Bridge, simulator: Simulator) -> None:
    """The provider's own refusal passes, and from then on the bridge refuses the key itself."""
    key, path = "rm_" + "6" * 32, "/reelmirror/api/v1/sync-jobs/demo-1"
    assert await ask(open_bridge, path, key) == (200, "provider")
    await simulator.control("POST", f"/keys/{key}/revoke")
    assert await ask(open_bridge, path, key) == (401, "provider")
    assert await ask(open_bridge, path, key) == (401, "unauthorized")


async def test_work_begun_with_a_key_of_ones_own_is_called_back(
    open_bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """From its own project's account, with nothing set up before."""
    key = "rm_" + "4" * 32
    headers = {"Authorization": f"Bearer {key}", "X-Webhook-URL": f"{receiver.url}/own"}
    await simulator.control("POST", "/personas", {"id": "own-persona"})
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{open_bridge.url}/reelmirror/api/v1/personas/own-persona/sync") as answer,
    ):
        assert (answer.status, answer.headers["X-Webhook-Status"]) == (202, "registered")
    (got,) = await receiver.wait("/own")
    assert got.event["type"].startswith("sync_job.")
