"""aiohttp. Run it: `WEBHOOK_SECRET=whsec_… python -m aiohttp.web aiohttp_receiver:make_app`."""

import asyncio
import os
from typing import Any

from aiohttp import web
from once import handle_once
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])


async def receive(request: web.Request) -> web.Response:
    try:
        event = webhook.verify(await request.read(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # forged, or nothing that was ever signed
        raise web.HTTPUnauthorized from None
    return web.json_response({"handled": await asyncio.to_thread(handle_once, event, handle)})


def handle(event: dict[str, Any]) -> None:
    """Put the work on a queue: the answer must not wait for it."""
    print(event["type"], event["job_id"], event["outcome"], flush=True)


def make_app(_arguments: list[str]) -> web.Application:
    app = web.Application()  # takes bodies of up to 1 MB, which is enough
    app.add_routes([web.post("/webhook", receive)])
    return app
