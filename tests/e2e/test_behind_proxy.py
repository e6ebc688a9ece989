"""A bridge on loopback behind a reverse proxy on the same machine, as real processes."""

from pathlib import Path

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, Receiver, Simulator, running_bridge, running_receiver

pytestmark = pytest.mark.slow
PUBLIC = "https://bridge.example.test"


@pytest.mark.parametrize(
    ("settings", "links"),
    [
        ({"REELBRIDGE_PUBLIC_URL": PUBLIC}, PUBLIC),
        ({"REELBRIDGE_TRUSTED_PROXIES": "127.0.0.1"}, "https://proxied.example.test"),
    ],
)
async def test_programs_beside_the_bridge_are_out_of_reach(
    simulator: Simulator, receiver: Receiver, tmp_path: Path, settings: dict[str, str], links: str
) -> None:
    """A stranger with a key neither reads them with a test nor registers them; and links name the public address."""
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "proxied.example.test",
        "Host": "evil.example",
    }
    with running_bridge(simulator, tmp_path, **settings) as bridge:
        async with aiohttp.ClientSession(headers=headers) as http:
            for path in ("/v1/callbacks/test", "/v1/callbacks"):
                for url in (receiver.url, receiver.url.replace("http:", "https:")):
                    fields = {"callback_url": f"{url}/x", "job_id": "1"}
                    async with http.post(bridge.url + path, json=fields) as answer:
                        body = await answer.json()
                        assert answer.status == 400, body
                        assert body["error"]["details"]["rule"] in {"http", "loopback"}
            fields = {"callback_url": "inbox:", "job_id": "1"}
            async with http.post(f"{bridge.url}/v1/callbacks", json=fields) as answer:
                made = await answer.json()
                assert answer.headers["Location"] == f"{links}/v1/callbacks/{made['id']}"
    assert receiver.got == []


async def test_without_a_proxy_a_laptop_reaches_itself(simulator: Simulator, tmp_path: Path) -> None:
    """The same bridge with neither setting: loopback is open, and no header makes a link."""
    async with running_receiver() as receiver:
        with running_bridge(simulator, tmp_path) as bridge:
            status, body = await bridge.call(
                "POST", "/v1/callbacks/test", {"callback_url": f"{receiver.url}/x"}
            )
            assert (status, body["delivered"]) == (200, True)
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{bridge.url}/openapi.json", headers={"Host": "evil.example"}) as answer,
            ):
                assert (await answer.json())["servers"] == [{"url": bridge.url}]
