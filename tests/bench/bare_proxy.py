"""The least that a reverse proxy on aiohttp is: it sends requests on with `ClientSession`, and streams the answers back.

`python -m tests.bench.bare_proxy UPSTREAM` prints its port and serves until it is killed. It knows no keys.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

from bridge.config.gc_tuning import tune_gc


def build_app(session: aiohttp.ClientSession, upstream: str) -> web.Application:
    """Return an application that asks `upstream` for whatever it is asked."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        body = request.content if request.can_read_body else None
        async with session.request(
            request.method,
            upstream + request.path_qs,
            headers=request.headers,
            data=body,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    return app


async def serve(upstream: str) -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        runner = web.AppRunner(build_app(session, upstream), access_log=None)
        await runner.setup()
        assert runner.server is not None
        server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
        tune_gc()  # as the bridge's API does
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 -- whoever started it reads this
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
