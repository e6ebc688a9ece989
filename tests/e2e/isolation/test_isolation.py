"""Hooks that hang, refuse or are gone delay no healthy hook of the same host, and a stranger's host is not flooded."""

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.isolation.clients import Client, new_client, prove_host, wait_settled
from tests.e2e.isolation.hosts import Host, running_host
from tests.e2e.isolation.options import DEAD
from tests.e2e.processes import Bridge, Simulator, free_port, running_bridge, until

pytestmark = pytest.mark.slow

TIMEOUT_S = 5.0
ROUNDS = 63  # of eight deliveries each
PER_JOB = 100


@pytest.fixture(scope="module")
def own_bridge(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Run a bridge whose attempts last five seconds."""
    with running_bridge(simulator, tmp_path_factory.mktemp("isolation")) as running:
        yield running


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with running_host() as running:
        yield running


@pytest.fixture
async def client(own_bridge: Bridge, simulator: Simulator) -> Client:
    return await new_client(own_bridge, simulator)


@pytest.fixture
async def neighbour(own_bridge: Bridge, simulator: Simulator) -> Client:
    return await new_client(own_bridge, simulator, own_project=True)


async def test_healthy_hooks_of_a_proven_host_do_not_wait_for_others(host: Host, client: Client) -> None:
    """25 hanging and 5 refusing hooks stand before 8 healthy ones: those get their first attempt within a second."""
    await prove_host(client, f"{host.url}/ok/first")
    healthy = host.urls("ok", 8)
    await client.register([*host.urls("hang", 25), *host.urls("missing", 5), *healthy])
    await client.end_job()
    first = await host.wait_first(healthy, within_s=60)
    assert max(attempt.after_s for attempt in first) <= 1.0
    hanging = [attempt.path for attempt in host.attempts if attempt.ended is None]
    assert len(set(hanging)) == len(hanging), "a hook that hangs has more than one attempt"


async def test_later_deliveries_are_as_quick_as_without_trouble(host: Host, client: Client) -> None:
    """Over 500 deliveries the 99th percentile beside 25 hanging and 5 refusing hooks is what it was without them.

    Two more of the hooks are dead, one of the same host that hangs and one of a host that is gone, with many deliveries each.
    """
    healthy = host.urls("ok", 8)
    await client.register(healthy)
    await client.end_job()
    await host.wait_first(healthy, within_s=30)
    event = (await client.call("GET", "/v1/events?limit=1"))["data"][0]["id"]
    await wait_settled(client, event)
    quiet = await measure_resends(host, client, event)

    trouble = await new_client(client.bridge, client.simulator)
    await trouble.register([*host.urls("hang", 25), *host.urls("missing", 5)])
    await trouble.end_job()
    await host.wait_first(host.urls("hang", 25), within_s=60)
    for dead in (f"http://127.0.0.1:{free_port()}/dead", f"{host.url}/hang/dead"):
        await end_with_many(client, [f"{dead}?n={number}" for number in range(DEAD)])

    async def is_tried() -> bool:
        return any(each.path.startswith("/hang/dead?") for each in host.attempts)

    await until(is_tried, within_s=60)
    beside = await measure_resends(host, client, event)
    # The second term is what the machine's other work may cost; with shared slots it would be seconds.
    assert percentile(beside) <= max(1.2 * percentile(quiet), percentile(quiet) + 0.15)


async def end_with_many(client: Client, urls: list[str]) -> None:
    """Let jobs end whose deliveries all go to one URL, apart by the query."""
    for start in range(0, len(urls), PER_JOB):
        crowd = await new_client(client.bridge, client.simulator)
        await crowd.register(urls[start : start + PER_JOB])
        await crowd.end_job()


async def measure_resends(host: Host, client: Client, event: str) -> list[float]:
    """Return how long after the request each delivery came, in seconds."""
    took: list[float] = []
    for _ in range(ROUNDS):
        seen, began = len(host.attempts), time.time()
        await client.call("POST", f"/v1/events/{event}/resend")
        while len(came := [each for each in host.attempts[seen:] if "/ok/" in each.path]) < 8:
            assert time.time() < began + 30, "a healthy hook's delivery does not come"
            await asyncio.sleep(0.005)
        took += [each.at - began for each in came]
        await wait_settled(client, event)
    return took


def percentile(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


async def test_another_projects_hanging_hooks_do_not_matter(
    host: Host, client: Client, neighbour: Client
) -> None:
    """Forty hooks of one project hang; the first callback of another to the same proven host comes at once."""
    await prove_host(client, f"{host.url}/ok/first")
    await neighbour.register(host.urls("hang", 40))
    await client.register([f"{host.url}/ok/mine"])
    await neighbour.end_job()
    await host.wait_first(host.urls("hang", 40), within_s=60)
    await client.end_job()
    (first,) = await host.wait_first([f"{host.url}/ok/mine"], within_s=60)
    assert first.after_s <= 1.0


async def test_a_stranger_gives_another_project_its_turn_after_one_timeout(
    host: Host, client: Client, neighbour: Client
) -> None:
    """At a host that never answered, hooks of another project cost at most one time-out and a second."""
    await neighbour.register([*host.urls("hang", 25), *host.urls("missing", 5)])
    healthy = host.urls("ok", 8)
    await client.register(healthy)
    await neighbour.end_job()
    await host.wait_first(host.urls("hang", 6), within_s=60)
    await client.end_job()
    reason = await client.find_next(healthy[-1], "is due and waits")
    assert re.search(r"this host has never answered 2xx, so \d of 6 attempts", reason), reason
    first = await host.wait_first(healthy, within_s=60)
    assert max(attempt.after_s for attempt in first) <= TIMEOUT_S + 1


async def test_a_stranger_takes_six_of_one_project_in_a_timeout(host: Host, client: Client) -> None:
    """Behind n hooks of one's own the first attempt comes within n / 6 + 1 time-outs."""
    healthy = host.urls("ok", 8)
    await client.register([*host.urls("hang", 12), *host.urls("missing", 3), *healthy])
    await client.end_job()
    first = await host.wait_first(healthy, within_s=120)
    assert max(attempt.after_s for attempt in first) <= (15 / 6 + 1) * TIMEOUT_S
    assert host.most_at_once <= 6 + 8  # once proven, the eight go at once


async def test_refusals_slow_nobody(host: Host, client: Client) -> None:
    """Forty hooks that answer 404 at once, at a host that never answered 2xx: the healthy one after them is soon served."""
    await client.register([*host.urls("missing", 40), f"{host.url}/ok/mine"])
    await client.end_job()
    (first,) = await host.wait_first([f"{host.url}/ok/mine"], within_s=60)
    assert first.after_s <= TIMEOUT_S
    assert host.most_at_once <= 2


async def test_what_hangs_is_told_to_answer_at_once(host: Host, client: Client) -> None:
    """The time-out of a request that was sent whole skips the quick entries of the schedule, and the timeline says why."""
    await client.register([f"{host.url}/hang/me"])
    await client.end_job()
    await host.wait_first([f"{host.url}/hang/me"], within_s=30)
    await client.find_next(f"{host.url}/hang/me", "Attempt 2")
    shown = await client.timeline(f"{host.url}/hang/me")
    assert "answer at once, work later" in str(shown["entries"])
    assert (
        next_wait_s(shown) >= 2.9
    )  # this bridge's schedule has no entry of five minutes: its last one is 3 s


def next_wait_s(timeline: dict[str, Any]) -> float:
    """Return the seconds between the last attempt's end and the next one."""
    (attempt,) = [each for each in timeline["entries"] if each["what"] == "attempt"]
    (coming,) = [each for each in timeline["next"] if "Attempt 2" in each["text"]]
    began, due = (datetime.fromisoformat(each["at"]) for each in (attempt, coming))
    return (due - began).total_seconds() - TIMEOUT_S
