"""Every call that begins work through an API that is killed before the answer: nothing is sent twice, and all hear an end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.api.store_server import running_store
from tests.e2e.processes import API_KEY, Bridge, Simulator, running_simulator, until
from tests.e2e.proxy.lossy_service import LossyService
from tests.e2e.proxy.start_calls import STARTS, Answer, Call
from tests.e2e.proxy.test_every_start import post_naming

pytestmark = pytest.mark.slow

SPEED = 250  # so that the last look, after an hour, comes soon
REPEATS = 3  # of a call that stays uncertain, two seconds apart
# What a repetition with the key gets; all others stay uncertain, because they leave nothing that is theirs alone.
FOUND = {
    "generate": "rebuilt",
    "clone": "consumed",
    "regenerate": "consumed",
    "retry_failed": "consumed",
    "media_item": "consumed",
    "voice_convert": "consumed",
    "approve": "rebuilt",
    "compose": "rebuilt",
}
UNENDED = ("compose", "schedule")  # a draft, and a post of the year 2099: both are watched
PLACES = ("query", "field")


@dataclass(frozen=True, kw_only=True)
class Try:
    """A call, where it names its URL, and its Idempotency-Key, empty without one."""

    name: str
    call: Call
    place: str
    key: str = ""

    @property
    def url(self) -> str:
        return f"inbox:{self.name}-{self.place}"


@dataclass(frozen=True)
class Killed:
    """The service and its simulator."""

    service: LossyService
    simulator: Simulator

    def api(self, number: int) -> Bridge:
        """Return one of its two APIs."""
        service = self.service
        return Bridge(url=service.urls[number], process=service.apis[number], data_dir=Path())

    async def count_posts(self) -> int:
        """Return how many calls the provider has got."""
        return int((await self.simulator.control("GET", "/requests?method=POST"))["count"])


@pytest.fixture
async def killed(tmp_path: Path) -> AsyncIterator[Killed]:
    with running_simulator(speed=SPEED) as simulator, running_store(tmp_path) as socket:
        service = LossyService(simulator, Path(socket), key=API_KEY, scale=1 / SPEED)
        switches = {"unknown_personas": "create", "rate_limiter": False, "list_outgoing_posts": True}
        await simulator.control("PUT", "/switches", switches)
        try:
            yield Killed(service, simulator)
        finally:
            service.stop()


async def plan_tries(simulator: Simulator) -> list[Try]:
    """Return each call with a key, and without one, about different things."""
    tries = []
    for number, (name, make) in enumerate(STARTS.items()):
        for place in ("header", PLACES[number % 2]):
            call = await make(simulator)
            if call.body and name in ("generate", "clone"):
                call = replace(call, body=call.body | {"persona_id": f"{name}-{place}"})
            tries.append(
                Try(name=name, call=call, place=place, key=f"key-{name}" if place == "header" else "")
            )
    return tries


async def send(bridge: Bridge, each: Try) -> Answer | None:
    """Make a call; return None if the connection broke."""
    headers = {"Idempotency-Key": each.key} if each.key else {}
    try:
        return await post_naming(bridge, each.call, each.url, each.place, **headers)
    except (aiohttp.ClientError, ConnectionError):
        return None


async def repeat(bridge: Bridge, each: Try) -> str:
    """Repeat a call until its outcome is known, or has stayed uncertain; return it in a word."""
    doubts = 0
    while True:
        answer = await send(bridge, each)
        assert answer is not None, "this API lives"
        word = answer.headers.get("X-Reelbridge-Error", "")
        doubts += word == "unknown_outcome"
        if answer.status < 300:
            assert answer.headers["X-Reelbridge-Rebuilt"] == "true"
            return "rebuilt"
        if word == "consumed" or doubts >= REPEATS:
            return word
        assert word in ("in_flight", "unknown_outcome"), answer
        await asyncio.sleep(float(answer.headers["Retry-After"]))


async def list_states(bridge: Bridge, each: Try) -> list[str]:
    """Return the states of the callbacks of a call's URL."""
    _, listed = await bridge.call("GET", f"/v1/callbacks?callback_url={each.url}")
    return [callback["state"] for callback in listed["data"]]


async def test_calls_whose_api_is_killed_are_sent_once_and_hear_an_end(killed: Killed) -> None:
    """The provider has begun all of them, and nobody got an answer."""
    tries = await plan_tries(killed.simulator)
    await killed.simulator.control("DELETE", "/requests")
    late = {"match": {"path_prefix": "/", "method": "POST"}, "delay_s": 30}
    await killed.simulator.control("POST", "/faults", late)
    sent = [asyncio.create_task(send(killed.api(0), each)) for each in tries]

    async def are_begun() -> bool:
        return await killed.count_posts() == len(tries)

    await until(are_begun)
    killed.service.kill_first()
    assert await asyncio.gather(*sent) == [None] * len(tries)
    killed.service.restart_first()

    keyed = [each for each in tries if each.key]
    outcomes = await asyncio.gather(*(repeat(killed.api(1), each) for each in keyed))
    assert {each.name: outcome for each, outcome in zip(keyed, outcomes, strict=True)} == {
        each.name: FOUND.get(each.name, "unknown_outcome") for each in keyed
    }

    async def list_silent() -> list[str]:
        silent = []
        for each in tries:
            states = await list_states(killed.api(1), each)
            ends = {"ended", "timed_out"} | ({"watching"} if each.name in UNENDED else set())
            if not states or not ends.issuperset(states):
                silent.append(f"{each.url} {states}")
        return silent

    async def have_heard() -> bool:
        return not await list_silent()

    try:
        await until(have_heard, within_s=60)
    finally:
        silent = await list_silent()
    assert (silent, await killed.count_posts()) == ([], len(tries))
