"""Receivers as they are: most answer, some too late, some reset the connection after reading, a few refuse for ever."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.e2e.crash.killable_service import SETTINGS
from tests.e2e.processes import Receiver, running_receiver

Fate = Literal["ok", "late", "reset", "busy", "refused"]
RECEIVERS = 6  # as many destinations
PAUSE_S = (0.02, 0.25)
LATE_S = float(SETTINGS["REELBRIDGE_ATTEMPT_TIMEOUT"]) + 0.6
# How often an attempt meets what; the rest is answered with 200.
MOODS: Sequence[tuple[Fate, float]] = (("late", 0.005), ("reset", 0.04), ("busy", 0.04))
REFUSED_EVERY = 25  # of the callbacks, one so often goes to a receiver that refuses for ever


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One POST as its receiver saw it, read whole; `place` is the URL's query, `stamp_s` its `webhook-timestamp`."""

    place: str
    event: str
    type: str
    job: str
    stamp_s: int
    arrived_at: float
    answered_at: float
    fate: Fate


@dataclass
class MoodyReceivers:
    """What several receivers got, and how each POST fared."""

    receivers: Sequence[Receiver]
    dice: random.Random
    arrivals: list[Arrival] = field(default_factory=list)
    first_at: dict[str, float] = field(default_factory=dict)
    open: int = 0  # POSTs that came and have no answer yet
    _late: set[tuple[str, str]] = field(default_factory=set)

    def url(self, number: int, place: str) -> str:
        """Return the URL of a place at one of the receivers; some refuse for ever, each at a path of its own."""
        receiver = self.receivers[number % len(self.receivers)]
        path = f"/refuse/{place}" if number % REFUSED_EVERY == REFUSED_EVERY - 1 else "/hook"
        receiver.behaviours[path] = self.answer
        return f"{receiver.url}{path}?{place}"

    async def answer(self, request: web.Request, _: bytes) -> web.StreamResponse:
        """Answer as the dice say, and write the POST down whatever becomes of the connection."""
        arrived_at = time.time()
        body = await request.json()
        place = request.query_string
        self.first_at.setdefault(place, arrived_at)
        event = request.headers["webhook-id"]
        fate = "refused" if request.path.startswith("/refuse/") else self._draw(place, event)
        self.open += 1
        try:
            await asyncio.sleep(LATE_S if fate == "late" else self.dice.uniform(*PAUSE_S))
        finally:
            self.open -= 1
            self.arrivals.append(
                Arrival(
                    place=place,
                    event=event,
                    type=body["type"],
                    job=body["job_id"],
                    stamp_s=int(request.headers["webhook-timestamp"]),
                    arrived_at=arrived_at,
                    answered_at=time.time(),
                    fate=fate,
                )
            )
        if fate == "reset" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=503 if fate in ("busy", "refused") else 200)

    def _draw(self, place: str, event: str) -> Fate:
        if (
            place,
            event,
        ) in self._late:  # one more attempt may be all that is left after one without an answer
            return "ok"
        roll = self.dice.random()
        for fate, share in MOODS:
            if roll < share:
                if fate == "late":
                    self._late.add((place, event))
                return fate
            roll -= share
        return "ok"


@contextlib.asynccontextmanager
async def moody_receivers(seed: int) -> AsyncIterator[MoodyReceivers]:
    """Run the receivers for a while."""
    async with contextlib.AsyncExitStack() as stack:
        running = [await stack.enter_async_context(running_receiver()) for _ in range(RECEIVERS)]
        yield MoodyReceivers(receivers=running, dice=random.Random(seed))
