"""The proxy through real processes: a client changes its base URL and its key, and sees the provider's answers."""

import aiohttp
import pytest
from yarl import URL

from tests.e2e.processes import API_KEY, RB_KEY, RM_KEY, Bridge, Simulator

pytestmark = pytest.mark.slow

READS = [
    ("reelmirror", "/v1/sync-jobs/demo-1"),
    ("reelmirror", "/v1/sync-jobs/no-such-job?x=%7e&y"),
    ("reelmirror", "/v1/personas?limit=2"),
    ("reelmirror", "/v1/nothing/here"),
    ("reelbot", "/v1/video/status/demo12345678"),
]
OF_THE_MOMENT = {"date", "x-ratelimit-remaining", "x-ratelimit-reset"}


@pytest.mark.parametrize(("provider", "path"), READS)
async def test_a_read_is_answered_as_the_provider_answers(
    bridge: Bridge, simulator: Simulator, provider: str, path: str
) -> None:
    """Status, headers and body are those that the provider gives, whose key stays in the bridge."""
    keys = {"reelmirror": {"Authorization": f"Bearer {RM_KEY}"}, "reelbot": {"X-API-Key": RB_KEY}}
    own = {"reelmirror": {"Authorization": f"Bearer {API_KEY}"}, "reelbot": {"X-API-Key": API_KEY}}
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{simulator.url}/{provider}/api{path}", headers=keys[provider]) as direct:
            wanted = (direct.status, names(direct), await direct.read())
        async with http.get(f"{bridge.url}/{provider}/api{path}", headers=own[provider]) as through:
            assert (through.status, names(through), await through.read()) == wanted


def names(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    """Return the headers that are the same for every answer."""
    return [(name, value) for name, value in answer.headers.items() if name.lower() not in OF_THE_MOMENT]


@pytest.mark.parametrize(
    ("path", "headers", "status", "word"),
    [
        ("/v1/personas", {}, 401, "unauthorized"),
        ("/v1/personas", {"Authorization": f"Bearer {RM_KEY}"}, 401, "unauthorized"),
        ("/v1/%2e%2e/x", {"Authorization": f"Bearer {API_KEY}"}, 400, "validation_error"),
        ("/v1/..%2fx", {"Authorization": f"Bearer {API_KEY}"}, 400, "validation_error"),
    ],
)
async def test_a_refusal_is_worded_as_the_provider_does(
    bridge: Bridge, path: str, headers: dict[str, str], status: int, word: str
) -> None:
    """Without a key of the bridge, or beside the provider's paths, nothing is asked of the provider."""
    async with aiohttp.ClientSession() as http:
        url = URL(f"{bridge.url}/reelmirror/api{path}", encoded=True)
        async with http.get(url, headers=headers) as answer:
            assert (answer.status, answer.headers["X-Reelbridge-Error"]) == (status, word)
            assert (await answer.json())["error"]["message"]
