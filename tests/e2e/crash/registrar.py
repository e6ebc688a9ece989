"""A client that registers many callbacks and repeats each request until it is answered."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from tests.e2e.crash.job_plans import PlannedJob
from tests.e2e.crash.killable_service import Service
from tests.e2e.processes import API_KEY

TIMEOUT_S = 60.0
CUT_OFF = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)


@dataclass(kw_only=True)
class RegisteredCallback:
    """A registered callback, and when it was answered."""

    id: str
    hook: str
    ending: str
    answered_at: float


class Receivers(Protocol):
    """Whoever gets the POSTs of callbacks, each at a hook of its own."""

    first_at: dict[str, float]

    def url(self, number: int, hook: str) -> str:
        """Return the URL of a hook."""


class Registrar:
    """Registers over HTTP as a stubborn client does: a request that got no answer is repeated."""

    def __init__(self, service: Service, received: Receivers) -> None:
        self.began_ms = round(time.time() * 1000)
        self._service = service
        self._received = received
        self.watched: dict[str, RegisteredCallback] = {}
        self.took_s: list[float] = []

    @property
    def slowest_s(self) -> float:
        """The longest time that an answer took."""
        return max(self.took_s)

    async def register(
        self,
        plans: Iterable[PlannedJob],
        *,
        at_once: int = 16,
        gap_s: float = 0.0,
        first_timeout_s: float | None = None,
    ) -> None:
        """Make and register jobs, some at once; every hook is a callback of its own.

        With `first_timeout_s` a first request is broken off after that time, if it has no answer by then.
        """

        async def register_one(session: aiohttp.ClientSession, plan: PlannedJob) -> None:
            await self._one(session, plan, first_timeout_s)
            await asyncio.sleep(gap_s)

        await _for_each(plans, register_one, at_once=at_once)

    async def end(self, plans: Iterable[PlannedJob]) -> None:
        """End jobs that wait for it."""
        await _for_each(plans, self._end_one, at_once=16)

    async def _end_one(self, session: aiohttp.ClientSession, plan: PlannedJob) -> None:
        steps = {"script": [{"after_s": 0, "set": plan.ended}]}
        await self._control(session, f"/jobs/{plan.kind}/{plan.id}/steps", steps)

    async def _control(self, session: aiohttp.ClientSession, path: str, body: object) -> None:
        async with session.post(f"{self._service.simulator.url}/_sim{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()

    def count_waiting(self) -> int:
        """Count the callbacks that were answered and of which no POST has come yet."""
        return len(self.watched.keys() - self._received.first_at.keys())

    async def _one(
        self, session: aiohttp.ClientSession, plan: PlannedJob, first_timeout_s: float | None
    ) -> None:
        await self._control(session, "/jobs", plan.body)
        for hook in plan.hooks:
            body = {
                **plan.fields,
                "callback_url": self._received.url(len(self.watched), hook),
                "timeout_seconds": 900,
            }
            answer = await self._post(session, body, first_timeout_s)
            self.watched[hook] = RegisteredCallback(
                id=answer["id"],
                hook=hook,
                ending=plan.ending,
                answered_at=time.time(),
            )

    async def _post(
        self, session: aiohttp.ClientSession, body: dict[str, Any], first_timeout_s: float | None
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {API_KEY}"}
        url = f"{self._service.bridge.url}/v1/callbacks"
        timeout = aiohttp.ClientTimeout(total=first_timeout_s or TIMEOUT_S)
        while True:
            began = time.monotonic()
            with contextlib.suppress(*CUT_OFF):
                try:
                    async with session.post(url, json=body, headers=headers, timeout=timeout) as answer:
                        given = await answer.json()
                except TimeoutError:
                    assert timeout.total != TIMEOUT_S, "no answer at all"
                    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
                    continue
                self.took_s.append(time.monotonic() - began)
                if answer.status in (200, 201):
                    return dict(given)
                assert answer.status == 503, given
            await asyncio.sleep(0.1)


async def _for_each(
    plans: Iterable[PlannedJob],
    work: Callable[[aiohttp.ClientSession, PlannedJob], Awaitable[None]],
    *,
    at_once: int,
) -> None:
    waiting = iter(plans)

    async def go_on(session: aiohttp.ClientSession) -> None:
        for plan in waiting:  # whoever is free takes the next
            await work(session, plan)

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on(session))
