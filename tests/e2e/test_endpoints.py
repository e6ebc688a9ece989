"""Fifty endpoints hear of every job, while workers and the API are killed with -9 and a worker is stopped in the middle."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.api.serving import MASTER_KEY
from tests.api.store_server import running_store
from tests.e2e.processes import Bridge, Process, Receiver, Simulator, bridge_env, running_bridge, until
from tests.workers.worker_process import running_worker

ENDPOINTS, KILLS = 50, 2
JOBS = int(os.environ.get("REELBRIDGE_ENDPOINT_JOBS", "40"))  # `make chaos` sets 1,000
LONGER = max(1, JOBS // 100)
ANSWERS_IN_S = 2 / JOBS  # a host has ten attempts in flight at most: many deliveries want quick answers
LEASE_S = 16.0  # 5 s to begin, the time-out of 1 s, and 10 s
BEGINS_WITHIN_S = 5.0
SETTLED_WITHIN_S = 5.0  # an attempt's end until it is settled, on a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 * LONGER)]


@dataclass
class Fleet:
    """A bridge and a second worker on one store, and when something was done to a process."""

    bridge: Bridge
    second: Process
    faults: list[float] = field(default_factory=list)

    def hurt(self, pid: int, how: signal.Signals) -> None:
        self.faults.append(time.time())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


@pytest.fixture
def fleet(simulator: Simulator, tmp_path: Path) -> Iterator[Fleet]:
    """Processes that may be killed."""
    (tmp_path / "store").mkdir()
    with running_store(tmp_path / "store") as socket:
        own = {
            "REELBRIDGE_REDIS_URL": f"unix://{socket}",
            "REELBRIDGE_MASTER_KEYS": MASTER_KEY,
            "REELBRIDGE_ATTEMPT_TIMEOUT": "1",
        }
        with (
            running_bridge(simulator, tmp_path, **own) as bridge,
            running_worker(socket, **bridge_env(simulator, tmp_path / "second", 0, **own)) as second,
        ):
            yield Fleet(bridge, second)


async def test_every_event_reaches_every_endpoint_whatever_is_killed_or_stopped(
    fleet: Fleet, simulator: Simulator, receiver: Receiver
) -> None:
    """Each endpoint has one delivery of each event, which is received and recorded; repeats come after a lease only."""
    own, paths = fleet.bridge, [f"/ep/{number}" for number in range(ENDPOINTS)]
    receiver.behaviours |= dict.fromkeys(paths, answer_soon)
    secrets = {path: await make_endpoint(own, receiver.url + path) for path in paths}

    async def start(number: int) -> str:
        job = await simulator.make("sync_job", set={"status": "completed"})
        await own.register(job_id=job, callback_url="inbox:", metadata={"number": number})
        return job

    jobs = await asyncio.gather(*(start(number) for number in range(JOBS)))
    for kill in range(KILLS):
        await until(
            partial(received_at_least, receiver, (kill + 1) * ENDPOINTS * JOBS // (KILLS + 3)),
            within_s=30 * LONGER,
        )
        (worker, *_) = own.pids("-m workers")
        fleet.hurt(worker, signal.SIGKILL)
    await until(partial(received_at_least, receiver, ENDPOINTS * JOBS * 3 // 5), within_s=60 * LONGER)
    fleet.hurt(fleet.second.popen.pid, signal.SIGSTOP)
    (api, *_) = own.pids("bridge.cli.main api")
    fleet.hurt(api, signal.SIGKILL)

    async def complete() -> bool:
        return all(len(ids) == JOBS for ids in ids_by_path(receiver, paths).values())

    await until(complete, within_s=90 * LONGER, every_s=0.05 * LONGER)
    found = ids_by_path(receiver, paths)
    events = found[paths[0]]
    assert all(found[path] == events for path in paths), "the same events everywhere"
    for path in paths:
        assert {each.event["job_id"] for each in receiver.at(path)} == set(jobs)
    check_signatures(receiver, secrets, paths)
    (callback,) = receiver.at(paths[-1])[0].event["bridge"]["callbacks"]
    assert callback["metadata"] == {"number": jobs.index(receiver.at(paths[-1])[0].event["job_id"])}
    await until(partial(is_settled, own), within_s=LEASE_S + 30 * LONGER)
    fleet.second.popen.send_signal(signal.SIGCONT)
    stopped_s = time.time() - fleet.faults[-1]
    await check_books(own, events)
    check_fenced(fleet.second, stopped_s)
    check_repeats(receiver, paths, fleet.faults)


def check_fenced(worker: Process, stopped_s: float) -> None:
    """What a stopped worker had in flight, if anything, was another's by the time it went on: it has written nothing."""
    times = [re.search(r'"ms":(\d+),"event":"delivery.attempted"', line) for line in worker.lines]
    if any(found and int(found[1]) >= stopped_s * 1000 for found in times):
        worker.wait_for("pump.fenced", within_s=30)


async def answer_soon(_request: web.Request, _body: bytes) -> web.Response:
    await asyncio.sleep(ANSWERS_IN_S)  # so that attempts are in flight whenever something is killed
    return web.Response()


async def make_endpoint(own: Bridge, url: str) -> str:
    """Make an endpoint; return its secret."""
    status, made = await own.call("POST", "/v1/endpoints", {"url": url})
    assert status == 201, made
    return str(made["secret"])


async def received_at_least(receiver: Receiver, count: int) -> bool:
    return len(receiver.got) >= count


def ids_by_path(receiver: Receiver, paths: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {path: set() for path in paths}
    for each in receiver.got:
        found[each.path].add(each.event_id)
    return found


def check_signatures(receiver: Receiver, secrets: dict[str, str], paths: list[str]) -> None:
    sample = receiver.at(paths[-1])[0]
    Webhook(secrets[paths[-1]]).verify(sample.body, sample.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(secrets[paths[0]]).verify(sample.body, sample.headers)


async def is_settled(own: Bridge) -> bool:
    """Return whether nothing is open any more; while the API starts again it is not known."""
    open_: list[Any] = []
    for state in ("pending", "in_flight"):
        try:
            status, page = await own.call("GET", f"/v1/deliveries?state={state}&limit=1")
        except aiohttp.ClientConnectionError:
            return False
        open_ += page["data"] if status == 200 else [status]
    return not open_


async def check_books(own: Bridge, events: set[str]) -> None:
    """Each event has one delivery to each endpoint and one to its callback, and all have succeeded."""
    for event in sorted(events):
        _, page = await own.call("GET", f"/v1/deliveries?event_id={event}&limit=100")
        counted = Counter(each["endpoint_id"] for each in page["data"])
        assert set(counted.values()) == {1}
        assert len(counted) == ENDPOINTS + 1
        assert {each["state"] for each in page["data"]} == {"succeeded"}


def check_repeats(receiver: Receiver, paths: list[str], faults: list[float]) -> None:
    """What came twice was in flight when a process was killed or stopped, and came again when its lease had ended."""
    for path in paths:
        came: dict[str, list[float]] = {}
        for each in receiver.at(path):
            came.setdefault(each.event_id, []).append(each.at)
        for first, *again in came.values():
            if again:
                assert any(first <= fault <= first + SETTLED_WITHIN_S for fault in faults), (
                    "nothing had happened"
                )
                assert again[0] - first >= LEASE_S - BEGINS_WITHIN_S - 0.5, "a repeat while the lease was on"
                assert len(again) == 1
