"""The least that a registration over HTTP needs: read JSON, write it durably to Redis in one round trip, answer JSON.

`python -m tests.bench.bare_api REDIS_URL` prints its port and serves until it is killed. It knows no keys, no accounts and no jobs.
"""

import asyncio
import json
import sys

import uvloop
from aiohttp import web
from redis.asyncio import Redis

from bridge.config.gc_tuning import tune_gc

WAITAOF_MS = 60_000


def build_app(redis: Redis) -> web.Application:
    """Return an application whose one route stores the body under its job's name, on disk before it answers."""

    async def register(request: web.Request) -> web.Response:
        body = await request.read()
        job = json.loads(body)["job_id"]
        pipe = redis.pipeline(transaction=False)
        pipe.set(job, body)
        pipe.execute_command("WAITAOF", 1, 0, WAITAOF_MS)
        _, (on_disk, _) = await pipe.execute()
        assert on_disk == 1
        return web.json_response({"id": job}, status=201)

    app = web.Application()
    app.router.add_post("/v1/callbacks", register)
    return app


async def serve(redis_url: str) -> None:
    """Serve until killed."""
    async with Redis.from_url(redis_url) as redis:
        runner = web.AppRunner(build_app(redis), access_log=None)
        await runner.setup()
        assert runner.server is not None
        server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
        tune_gc()  # as the bridge's API does
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 -- whoever started it reads this
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
