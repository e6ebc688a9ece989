"""A host that never answers gets few attempts, whoever names it; and the default settings keep healthy hooks quick."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import datetime

import pytest

from tests.e2e.isolation.clients import end_jobs, new_client, prove_host, wait_settled
from tests.e2e.isolation.hosts import Host, running_host
from tests.e2e.isolation.options import WATCHED_S
from tests.e2e.processes import Bridge, Simulator, running_bridge, until

pytestmark = pytest.mark.slow

MOST_AT_ONCE = 6
MOST_A_MINUTE = 75
HOOKS = 100  # of each of two projects
DEFAULTS = {
    "REELBRIDGE_ATTEMPT_TIMEOUT": "30",
    "REELBRIDGE_RETRY_SCHEDULE": "2,5,30,300,1800,7200,18000,36000,50400,72000,86400",
}


@pytest.fixture(scope="module")
def own_bridge(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Run a bridge with attempts of five seconds."""
    with running_bridge(simulator, tmp_path_factory.mktemp("strangers")) as running:
        yield running


@pytest.fixture(scope="module")
def default_bridge(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Run a bridge with the default time-out and schedule."""
    with running_bridge(simulator, tmp_path_factory.mktemp("defaults"), **DEFAULTS) as running:
        yield running


async def test_a_host_that_never_answers_is_not_flooded(own_bridge: Bridge, simulator: Simulator) -> None:
    """200 callbacks of two projects: at most six attempts at once and 75 a minute, whether it hangs or refuses."""
    dead = socket.socket()  # bound and not listening: connections are refused
    dead.bind(("127.0.0.1", 0))
    async with running_host() as hanging:
        clients = [
            await new_client(own_bridge, simulator, own_project=own) for own in (False, True, False, True)
        ]
        refused = [f"http://127.0.0.1:{dead.getsockname()[1]}/{number}" for number in range(HOOKS)]
        for number, client in enumerate(clients):
            await client.register(hanging.urls("hang", HOOKS, of=f"{number}-") if number < 2 else refused)
        await end_jobs(*clients)
        await until(lambda: _has_begun(hanging), within_s=30)
        await asyncio.sleep(WATCHED_S)  # the time is what is measured
        assert MOST_AT_ONCE >= hanging.most_at_once >= 2
        assert hanging.count_within(60) <= MOST_A_MINUTE
        times = attempt_times(own_bridge, [*clients[2].callbacks.values(), *clients[3].callbacks.values()])
        in_a_minute = max(sum(begin <= at <= begin + 60 for at in times) for begin in times)
        assert in_a_minute <= min(MOST_A_MINUTE, 10 + 1.1 * WATCHED_S + 2)
        turns = Counter(attempt.path.partition("-")[0] for attempt in hanging.attempts)
        assert abs(turns["/hang/0"] - turns["/hang/1"]) <= 3, "the projects do not take turns"
        reason = await clients[2].find_next(refused[-1], "waits for its turn")
        assert "connecting to this host failed" in reason
    dead.close()


async def _has_begun(host: Host) -> bool:
    return bool(host.attempts)


def attempt_times(bridge: Bridge, callbacks: list[str]) -> list[float]:
    """Return when the attempts of some callbacks were made, from the bridge's log."""
    wanted = set(callbacks)
    lines = [
        json.loads(line.partition("| ")[2]) for line in bridge.process.lines if '"delivery.attempted"' in line
    ]
    return [
        datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines if line["callback"] in wanted
    ]


async def test_fourteen_hanging_hooks_with_the_default_settings(
    default_bridge: Bridge, simulator: Simulator
) -> None:
    """Healthy hooks of the same host get their first attempt within a second; what hung waits five minutes."""
    async with running_host() as host:
        client = await new_client(default_bridge, simulator)
        await prove_host(client, f"{host.url}/ok/first")
        healthy = host.urls("ok", 8)
        hanging = host.urls("hang", 14)
        await client.register([*hanging, *healthy])
        await client.end_job()
        first = await host.wait_first(healthy, within_s=200)
        assert max(attempt.after_s for attempt in first) <= 1.0
        await host.wait_first(hanging, within_s=30)
        await client.find_next(hanging[0], "Attempt 2", within_s=40)
        shown = await client.timeline(hanging[0])
        assert "answer at once, work later" in str(shown["entries"])
        (coming,) = [each for each in shown["next"] if "Attempt 2" in each["text"]]
        wait_s = datetime.fromisoformat(coming["at"]).timestamp() - time.time()
        assert 250 <= wait_s <= 300 * 1.2
        assert len(host.attempts) == 1 + 8 + 14


async def test_hanging_hooks_of_many_hosts_leave_room_for_healthy_ones(
    default_bridge: Bridge, simulator: Simulator
) -> None:
    """More new hooks hang, over twelve proven hosts, than a worker has slots; a hook that has answered does not wait."""
    async with AsyncExitStack() as stack:
        host, *others = [await stack.enter_async_context(running_host()) for _ in range(13)]
        client = await new_client(default_bridge, simulator)
        await prove_host(client, f"{host.url}/ok/known")
        event = (await client.call("GET", "/v1/events?limit=1"))["data"][0]["id"]
        crowds = [await new_client(default_bridge, simulator) for _ in others]
        for other, crowd in zip(others, crowds, strict=True):
            await prove_host(crowd, f"{other.url}/ok/first")
            await crowd.register(other.urls("hang", 48))
        await end_jobs(*crowds)
        until_s, waits = time.time() + 8, []
        while time.time() < until_s:
            asked, seen = time.time(), len(host.attempts)
            await client.call("POST", f"/v1/events/{event}/resend")
            await host.wait_attempts(seen + 1, within_s=30)
            waits.append(host.attempts[-1].at - asked)
            await wait_settled(client, event)
        assert max(waits) <= 1.0
