"""Flask. Run it: `WEBHOOK_SECRET=whsec_… flask --app flask_receiver run`."""

import os
from typing import Any

from flask import Flask, abort, request
from once import handle_once
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


@app.post("/webhook")
def receive() -> dict[str, bool]:
    try:
        event = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # forged, or nothing that was ever signed
        abort(401)
    return {"handled": handle_once(event, handle)}


def handle(event: dict[str, Any]) -> None:
    """Put the work on a queue: the answer must not wait for it."""
    print(event["type"], event["job_id"], event["outcome"], flush=True)
