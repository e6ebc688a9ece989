"""A poll or a delivery as a job of saq (https://saq-py.readthedocs.io), which enqueues the job's next poll itself."""

import asyncio
import sys
import time
from typing import Any

import msgspec
import uvloop
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

from tests.bench.queues.errand import DELAY_S, Errand, open_client

AT_ONCE = 500
NO_RESULT = -1


def open_queue(errand: Errand) -> Any:
    """Return the queue, with as many connections for enqueuing as there are slots, and a fast serializer."""
    return RedisQueue(
        Redis.from_url(errand.redis_url),  # its own `from_url` refuses unix sockets
        max_concurrent_ops=errand.slots,
        dump=msgspec.json.encode,
        load=msgspec.json.decode,
    )


async def polls(ctx: Any, *, number: int) -> None:
    """Read a job, and enqueue its next poll; saq's times are whole seconds."""
    if not await ctx["client"].poll(number):
        at_s = int(time.time()) + DELAY_S
        await ctx["worker"].queue.enqueue("polls", number=number, scheduled=at_s, ttl=NO_RESULT)


async def deliveries(ctx: Any, *, number: int, body: str) -> None:
    """Sign and post."""
    await ctx["client"].deliver(number, body)


async def seed(errand: Errand) -> None:
    """Put all jobs into the queue."""
    queue = open_queue(errand)
    more = {} if errand.what == "polls" else {"body": errand.body}
    for first in range(0, errand.jobs, AT_ONCE):
        some = range(first, min(first + AT_ONCE, errand.jobs))
        await asyncio.gather(
            *(queue.enqueue(errand.what, number=number, ttl=NO_RESULT, **more) for number in some)
        )
    await queue.disconnect()


async def work(errand: Errand) -> None:
    """Run a worker until it is killed."""
    async with open_client(errand) as client:

        async def start(ctx: Any) -> None:
            ctx["client"] = client

        worker = Worker(
            open_queue(errand), functions=[polls, deliveries], concurrency=errand.slots, startup=start
        )
        await worker.start()


if __name__ == "__main__":
    uvloop.run({"seed": seed, "work": work}[sys.argv[1]](Errand.read()))
