"""A poll or a delivery as a task of streaq (https://streaq.readthedocs.io), which enqueues the job's next poll itself."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvloop
from streaq import Worker

from tests.bench.queues.errand import DELAY_S, AsyncClient, Errand, open_client

AT_ONCE = 500


class Program:
    """The worker with its two tasks, which leave no results."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self.worker: Any = Worker(
            redis_url=errand.redis_url,
            concurrency=errand.slots,
            prefetch=4 * errand.slots,
            lifespan=self._open,
            serializer=lambda task: msgspec.json.encode(task).decode(),
            deserializer=msgspec.json.decode,
            handle_signals=False,
        )
        self._tasks = {
            "polls": self.worker.task(name="polls", ttl=0)(self.poll),
            "deliveries": self.worker.task(name="deliveries", ttl=0)(self.deliver),
        }

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[AsyncClient]:
        async with open_client(self._errand) as client:
            yield client

    async def poll(self, number: int) -> None:
        """Read a job, and enqueue its next poll."""
        if not await self.worker.context.poll(number):
            await self._tasks["polls"].enqueue(number).start(delay=DELAY_S)

    async def deliver(self, number: int, body: str) -> None:
        """Sign and post."""
        await self.worker.context.deliver(number, body)

    async def seed(self) -> None:
        """Put all jobs into the queue."""
        errand = self._errand
        more = () if errand.what == "polls" else (errand.body,)
        async with self.worker:
            for first in range(0, errand.jobs, AT_ONCE):
                some = range(first, min(first + AT_ONCE, errand.jobs))
                task = self._tasks[errand.what]
                await self.worker.enqueue_many([task.enqueue(number, *more) for number in some])


if __name__ == "__main__":
    program = Program(Errand.read())
    uvloop.run({"seed": program.seed, "work": program.worker.run_async}[sys.argv[1]]())
