"""Clients of one bridge: each a project with an upstream account and a job of its own."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.processes import API_KEY, Bridge, Simulator, until

HOLD_S = 1.2  # a first delivery waits for a second after the answer to its registration
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Client:
    """A project and its job, whose ending goes to all hooks that were registered for it."""

    bridge: Bridge
    simulator: Simulator
    key: str
    job: str
    callbacks: dict[str, str] = field(default_factory=dict)  # URL -> callback id
    registered_at: float = 0.0

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API with the project's key; return the JSON of a 2xx."""
        headers = {"authorization": f"Bearer {self.key}"}
        status, answer = await self.bridge.call(method, path, body, headers=headers)
        assert status < 300, answer
        return answer

    async def register(self, urls: Sequence[str]) -> None:
        """Register hooks for the job, one after the other, so that their order is known."""
        for url in urls:
            fields = {"job_id": self.job, "callback_url": url, "timeout_seconds": 3600}
            self.callbacks[url] = (await self.call("POST", "/v1/callbacks", fields))["id"]
            self.registered_at = time.time()

    async def end_job(self) -> None:
        """Let the job end: an event for each callback, all due at once.

        Not sooner than a callback's first delivery may be sent, or that would be part of what is measured.
        """
        await asyncio.sleep(max(0.0, self.registered_at + HOLD_S - time.time()))
        await self.simulator.control("PATCH", f"/jobs/sync_job/{self.job}", {"status": "completed"})

    async def timeline(self, url: str) -> Any:
        """Return the timeline of a hook's callback."""
        return await self.call("GET", f"/v1/callbacks/{self.callbacks[url]}/timeline")

    async def find_next(self, url: str, words: str, *, within_s: float = 30.0) -> str:
        """Wait until what comes next for a hook is said with these words; return the sentence."""

        async def find() -> str:
            coming = [each["text"] for each in (await self.timeline(url))["next"]]
            return next((text for text in coming if words in text), "")

        return str(await until(find, within_s=within_s))


async def new_client(bridge: Bridge, simulator: Simulator, *, own_project: bool = False) -> Client:
    """Return a client with a running job, in the default project or in one of its own."""
    number = next(_numbers)
    client = Client(
        bridge=bridge,
        simulator=simulator,
        key=API_KEY,
        job=await simulator.make("sync_job", set={"status": "running"}),
    )
    if own_project:
        client.key = (await client.call("POST", "/v1/projects", {"name": f"client {number}"}))["key"]
        account = {"provider": "reelmirror", "credential": f"rm_{number:032x}"}
        await client.call("POST", "/v1/accounts", account)
    return client


async def prove_host(client: Client, url: str) -> None:
    """Let a host answer 2xx once, so that it is no stranger."""
    await client.register([url])
    await client.end_job()
    await until(lambda: _has_succeeded(client, url))
    client.job = await client.simulator.make("sync_job", set={"status": "running"})


async def _has_succeeded(client: Client, url: str) -> bool:
    found = await client.call("GET", f"/v1/deliveries?callback_id={client.callbacks[url]}")
    return [each["state"] for each in found["data"]] == ["succeeded"]


async def end_jobs(*clients: Client) -> None:
    """Let the jobs of several clients end at the same time."""
    await asyncio.gather(*(client.end_job() for client in clients))


async def wait_settled(client: Client, event: str) -> None:
    """Wait until no delivery of the event is in flight, since a resend would be refused."""
    while True:
        found = await client.call("GET", f"/v1/deliveries?event_id={event}")
        if {each["state"] for each in found["data"]} == {"succeeded"}:
            return
        await asyncio.sleep(0.01)
