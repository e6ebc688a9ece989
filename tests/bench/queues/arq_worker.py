"""A poll or a delivery as a job of arq (https://arq-docs.helpmanual.io), which enqueues the job's next poll itself."""

import asyncio
import sys
from typing import Any

import msgspec
import uvloop
from arq import Worker, create_pool
from arq.connections import RedisSettings

from tests.bench.queues.errand import DELAY_S, Errand, open_client

AT_ONCE = 500
ENCODE, DECODE = msgspec.msgpack.encode, msgspec.msgpack.decode


async def polls(ctx: dict[Any, Any], number: int) -> None:
    """Read a job, and enqueue its next poll."""
    if not await ctx["client"].poll(number):
        await ctx["redis"].enqueue_job("polls", number, _defer_by=DELAY_S)


async def deliveries(ctx: dict[Any, Any], number: int, body: str) -> None:
    """Sign and post."""
    await ctx["client"].deliver(number, body)


async def seed(errand: Errand) -> None:
    """Put all jobs into the queue."""
    settings = RedisSettings.from_dsn(errand.redis_url)
    pool = await create_pool(settings, job_serializer=ENCODE, job_deserializer=DECODE)
    more = () if errand.what == "polls" else (errand.body,)
    for first in range(0, errand.jobs, AT_ONCE):
        some = range(first, min(first + AT_ONCE, errand.jobs))
        await asyncio.gather(*(pool.enqueue_job(errand.what, number, *more) for number in some))
    await pool.aclose()


async def work(errand: Errand) -> None:
    """Run a worker until it is killed."""
    async with open_client(errand) as client:
        worker = Worker(
            [polls, deliveries],
            redis_settings=RedisSettings.from_dsn(errand.redis_url),
            keep_result=0,
            max_jobs=errand.slots,
            poll_delay=0.001,
            ctx={"client": client},
            job_serializer=ENCODE,
            job_deserializer=DECODE,
            log_results=False,
        )
        await worker.async_run()


if __name__ == "__main__":
    uvloop.run({"seed": seed, "work": work}[sys.argv[1]](Errand.read()))
