"""A URL that fails, through real processes: what it is spared, how what waited comes back, and who may try it meanwhile."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis

from bridge.domain.deliveries.attempts import ATTEMPTS_KEPT
from tests.e2e.processes import Bridge, Receiver, Simulator, running_bridge, until

HERD = int(os.environ.get("REELBRIDGE_HERD", "120"))  # deliveries to one URL
PER_JOB = 100
SCHEDULE = "0.4,0.8,1.6,3,3,3,3,3,3,3,3"
OPENS_AFTER = 10
RAMP_S, STEP_S, MOST = 6.0, 0.04, 10  # of this schedule

pytestmark = pytest.mark.slow


@dataclass
class Patient:
    """A URL that fails until it is mended; how many requests were there at once, for all and for each delivery."""

    receiver: Receiver
    path: str = "/patient"
    status: int = 503
    takes_s: float = 0.0
    at_once: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return self.receiver.url + self.path

    @property
    def ids(self) -> list[str]:
        """The delivery of each request, in order: its event and the query of its URL."""
        return [
            f"{each.path} {each.event_id}" for each in self.receiver.got if each.path.startswith(self.path)
        ]

    async def behave(self, request: web.Request, _: bytes) -> web.Response:
        status = self.status
        names = ("all", f"{request.path_qs} {request.headers['webhook-id']}")
        for name in names:
            self.at_once[name] += 1
            self.most_at_once[name] = max(self.most_at_once[name], self.at_once[name])
        try:
            await asyncio.sleep(self.takes_s)  # a receiver that works for a while before it answers
        finally:
            self.at_once.subtract(names)
        return web.Response(status=status)


@pytest.fixture(scope="module")
def own(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("breaker")
    with running_bridge(simulator, folder, REELBRIDGE_RETRY_SCHEDULE=SCHEDULE) as running:
        yield running


@pytest.fixture
async def patient(receiver: Receiver) -> Patient:
    patient = Patient(receiver)
    receiver.behaviours[patient.path] = patient.behave
    return patient


async def register_herd(own: Bridge, simulator: Simulator, url: str, count: int) -> list[str]:
    """Register so many callbacks to one URL, apart by their queries, and let their jobs end; return the callbacks."""
    jobs = [await simulator.make("sync_job", set={"status": "running"}) for _ in range(-(-count // PER_JOB))]
    made = []
    for start in range(0, count, 20):
        some = range(start, min(count, start + 20))
        made += await asyncio.gather(
            *(own.register(job_id=jobs[n // PER_JOB], callback_url=f"{url}?n={n}") for n in some)
        )
    await asyncio.sleep(1.2)  # a first delivery waits for a second after the answer to its registration
    for job in jobs:
        await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})
    return [each["id"] for each in made]


async def age_failures(own: Bridge) -> None:
    """Let what has failed so far be nine failures in a row, the last one a minute ago."""
    (socket,) = own.data_dir.glob("store/*/s.sock")
    aged = (int(time.time()) - 60) * 1000 + OPENS_AFTER - 1
    async with Redis(unix_socket_path=str(socket)) as store:

        async def find() -> list[bytes]:
            return [key async for key in store.scan_iter("*:dlv:streaks")]

        for key in await until(find):
            await store.zadd(key, dict.fromkeys(await store.zrange(key, 0, -1), aged))


async def count(own: Bridge, state: str) -> int:
    """Count the project's deliveries in a state."""
    found, cursor = 0, ""
    while True:
        _, page = await own.call("GET", f"/v1/deliveries?state={state}&limit=100{cursor}")
        found += len(page["data"])
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def open_metric(own: Bridge) -> str:
    async with aiohttp.ClientSession() as http, http.get(own.url + "/metrics") as answer:
        text = await answer.text()
    return next(line for line in text.splitlines() if line.startswith("reelbridge_open_breakers "))


async def test_a_herd_is_spared_a_dead_url_and_comes_back_spread(
    own: Bridge, simulator: Simulator, patient: Patient
) -> None:
    """While the URL fails a handful of attempts is made; when it answers each delivery comes once, a few at a time."""
    await register_herd(own, simulator, patient.url, HERD)
    await until(partial(_has_failed, patient, 1))
    await age_failures(own)

    async def is_open() -> bool:
        return (await open_metric(own)).endswith(" 1.0")

    await until(is_open, within_s=60)
    before = len(patient.ids)
    await until(partial(_has_failed, patient, before + 2), within_s=60)
    assert await count(own, "parked") == 0
    probes = len(patient.ids) - before
    assert probes <= OPENS_AFTER, "a herd was sent to a URL that fails"
    patient.status = 200
    mended = len(patient.ids)

    async def all_came() -> bool:
        return len(set(patient.ids[mended:])) == HERD

    await until(all_came, within_s=60 + HERD / 20)
    came = patient.ids[mended:]
    assert max(Counter(came).values()) == 1, "a delivery came twice"
    assert patient.most_at_once["all"] <= MOST

    times = [each.at for each in patient.receiver.got if each.path.startswith(patient.path)][mended:]
    first = [at - times[0] for at in times]
    early = sum(at < RAMP_S / 10 for at in first)
    assert early <= RAMP_S / 10 / STEP_S * 2 + 2, "no more than two each step in the first tenth of the ramp"
    by_second = Counter(int(at) for at in first if at < RAMP_S - 1)
    assert max(by_second.values()) <= MOST / STEP_S, by_second

    async def all_settled() -> bool:
        return await count(own, "succeeded") == HERD

    await until(all_settled, within_s=30)
    assert await count(own, "parked") == 0
    assert (await open_metric(own)).endswith(" 0.0")


async def test_a_manual_retry_beside_the_scheduled_one_is_one_attempt_in_flight_and_one_outcome(
    own: Bridge, simulator: Simulator, patient: Patient
) -> None:
    """Somebody presses "retry" again and again, while the schedule and a probe want to send it too."""
    patient.takes_s = 0.05
    job = await simulator.make("sync_job", set={"status": "completed"})
    callback = await own.register(job_id=job, callback_url=patient.url)
    await until(partial(_has_failed, patient, 1))
    await age_failures(own)
    _, page = await own.call("GET", f"/v1/deliveries?callback_id={callback['id']}")
    (delivery,) = [each["id"] for each in page["data"]]
    for _ in range(OPENS_AFTER + 2):
        answers = await asyncio.gather(
            *(own.call("POST", f"/v1/deliveries/{delivery}/retry") for _ in range(4))
        )
        assert {status for status, _ in answers} <= {200, 409}
        before = len(patient.ids)
        await until(partial(_has_failed, patient, before + 1))
    patient.status = 200
    await own.call("POST", f"/v1/deliveries/{delivery}/retry")

    async def succeeded() -> dict[str, Any] | None:
        _, seen = await own.call("GET", f"/v1/deliveries/{delivery}")
        return seen if seen["state"] == "succeeded" else None

    seen = await until(succeeded)
    assert patient.most_at_once["all"] == 1
    assert [each["status"] for each in seen["attempts"]].count(200) == 1
    assert len(seen["attempts"]) == min(len(patient.ids), ATTEMPTS_KEPT)
    sent = len(patient.ids)
    status, refused = await own.call("POST", f"/v1/deliveries/{delivery}/retry")
    assert (status, refused["error"]["code"]) == (409, "CONFLICT")
    assert len(patient.ids) == sent


async def _has_failed(patient: Patient, times: int) -> bool:
    return len(patient.ids) >= times and not patient.at_once["all"]
