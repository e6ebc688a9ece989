"""Fifty endpoints hear of every job, while workers are killed with -9 in the middle."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.e2e.processes import Bridge, Receiver, Simulator, running_bridge, until

ENDPOINTS, JOBS, KILLS = 50, 40, 2

pytestmark = pytest.mark.slow


@pytest.fixture
def own(simulator: Simulator, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge whose workers may be killed."""
    with running_bridge(simulator, tmp_path) as running:
        yield running


async def test_every_event_reaches_every_endpoint_although_workers_are_killed(
    own: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Each endpoint has one delivery of each event, each is received, and each signature is its endpoint's."""
    paths = [f"/ep/{number}" for number in range(ENDPOINTS)]
    secrets: dict[str, str] = {}
    for path in paths:
        status, made = await own.call("POST", "/v1/endpoints", {"url": receiver.url + path})
        assert status == 201, made
        secrets[path] = made["secret"]

    async def start(number: int) -> str:
        job = await simulator.make("sync_job", set={"status": "completed"})
        await own.register(job_id=job, callback_url="inbox:", metadata={"number": number})
        return job

    jobs = await asyncio.gather(*(start(number) for number in range(JOBS)))
    for kill in range(KILLS):
        wanted = (kill + 1) * ENDPOINTS * JOBS // (KILLS + 3)
        await until(partial(received_at_least, receiver, wanted), within_s=60)
        (worker, *_) = own.pids("-m workers")
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)

    async def complete() -> bool:
        return all(len(ids) == JOBS for ids in ids_by_path(receiver, paths).values())

    await until(complete, within_s=90)
    found = ids_by_path(receiver, paths)
    events = found[paths[0]]
    assert all(found[path] == events for path in paths), "the same events everywhere"
    for path in paths:
        assert {each.event["job_id"] for each in receiver.at(path)} == set(jobs)
    sample = receiver.at(paths[-1])[0]
    Webhook(secrets[paths[-1]]).verify(sample.body, sample.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(secrets[paths[0]]).verify(sample.body, sample.headers)
    (callback,) = sample.event["bridge"]["callbacks"]
    assert callback["metadata"] == {"number": jobs.index(sample.event["job_id"])}
    await check_books(own, events)


async def received_at_least(receiver: Receiver, count: int) -> bool:
    return len(receiver.got) >= count


def ids_by_path(receiver: Receiver, paths: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {path: set() for path in paths}
    for each in receiver.got:
        found[each.path].add(each.event_id)
    return found


async def check_books(own: Bridge, events: set[str]) -> None:
    """Each event has one delivery to each endpoint and one to its callback; none was given up.

    What a killed worker had in flight is received, and tried again when its lease ends.
    """
    for event in sorted(events):
        _, page = await own.call("GET", f"/v1/deliveries?event_id={event}&limit=100")
        counted = Counter(each["endpoint_id"] for each in page["data"])
        assert set(counted.values()) == {1}
        assert len(counted) == ENDPOINTS + 1
        assert {each["state"] for each in page["data"]} <= {"succeeded", "in_flight", "pending"}
