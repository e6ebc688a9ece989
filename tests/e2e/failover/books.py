"""Register callbacks through a fault, end their jobs once it is over, and count what was answered with 201 and is lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from tests.e2e.processes import API_KEY, Bridge, Receiver, Simulator

PER_S = 20
ENDED = {"script": [{"after_s": 0, "set": {"status": "completed"}}]}
ANSWER_S = 60.0
DELIVERED_S = 60.0


@dataclass
class Books:
    """What was registered, and how each request was answered."""

    simulator: Simulator
    bridge: Bridge
    receiver: Receiver
    accepted: dict[str, float] = field(default_factory=dict)  # job -> when the 201 came, since the fault
    statuses: Counter[int] = field(default_factory=Counter)
    messages: set[str] = field(default_factory=set)
    jobs: list[str] = field(default_factory=list)

    async def register(self, count: int, *, fault_at: int, fault: Callable[[], Awaitable[None]]) -> None:
        """Register so many callbacks, twenty a second, without repeating any; the fault comes before one of them."""
        jobs = [await self.simulator.make("sync_job") for _ in range(count)]
        self.jobs += jobs
        began = time.monotonic()
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            for number, job in enumerate(jobs):
                if number == fault_at:
                    await fault()
                    began = time.monotonic() - number / PER_S
                group.create_task(self._register(http, job, began + fault_at / PER_S))
                await asyncio.sleep(max(0.0, began + (number + 1) / PER_S - time.monotonic()))

    async def _register(self, http: aiohttp.ClientSession, job: str, fault_s: float) -> None:
        body = {"job_id": job, "callback_url": f"{self.receiver.url}/{job}", "timeout_seconds": 900}
        headers = {"authorization": f"Bearer {API_KEY}"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with http.post(
            f"{self.bridge.url}/v1/callbacks", json=body, headers=headers, timeout=timeout
        ) as answer:
            self.statuses[answer.status] += 1
            # 200 is a promise too: the bridge repeated a change whose connection broke, and found it in place.
            if answer.status in {200, 201}:
                self.accepted[job] = time.monotonic() - fault_s
            else:
                self.messages.add((await answer.json())["error"]["message"])

    async def settle(self) -> set[str]:
        """End all jobs; return those that were answered with 201 and of which no event came in a minute."""
        for job in self.jobs:
            await self.simulator.control("POST", f"/jobs/sync_job/{job}/steps", ENDED)
        deadline = time.monotonic() + DELIVERED_S
        while self.lost() and time.monotonic() < deadline:  # noqa: ASYNC110 -- many paths, one deadline
            await asyncio.sleep(0.05)
        return self.lost()

    def assert_told_apart(self) -> None:
        """Each request was answered as done or with an outage, and what was logged of it are lines, no tracebacks."""
        logged = [each for each in self.bridge.process.lines if "Traceback" in each or '"exception"' in each]
        assert logged == [], logged
        assert set(self.statuses) <= {201, 503}, (self.statuses, self.messages)

    def lost(self) -> set[str]:
        return self.accepted.keys() - {each.path.strip("/") for each in self.receiver.got}

    def events_of(self, job: str) -> set[str]:
        """Return the ids of the events that came for a job."""
        return {each.event_id for each in self.receiver.at(f"/{job}")}
