"""FastAPI. Run it: `WEBHOOK_SECRET=whsec_… uvicorn fastapi_receiver:app`."""

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from once import handle_once
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


@app.post("/webhook")
async def receive(request: Request) -> dict[str, bool]:
    try:
        event = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # forged, or nothing that was ever signed
        raise HTTPException(401) from None
    return {"handled": await run_in_threadpool(handle_once, event, handle)}


def handle(event: dict[str, Any]) -> None:
    """Put the work on a queue: the answer must not wait for it."""
    print(event["type"], event["job_id"], event["outcome"], flush=True)
